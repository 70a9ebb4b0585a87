"""How many models of ONNX's own tests are served with equal answers? `gnomon bench onnx-models`.

The tests come with the `onnx` wheel: a model, inputs, and the answers that the standard expects. A
test counts if ONNX Runtime itself gives these answers here. Each such model is served as a bare
file, asked through the runtime, and counted: equal answers, other answers, or refused, with the
reason. Other answers are a fault; the command then ends with 1.
"""

import argparse
import logging
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnomon.runtime.errors import GnomonError
from gnomon.runtime.models.model import Model
from gnomon.runtime.packages.served_tensors import read_served_tensors
from gnomon.runtime.raw_models.raw_model import write_raw_model
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime

__all__ = ["ModelOutcome", "ModelTest", "cases", "main", "outcome_of", "run"]

_KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")
_NAME = re.compile(r"'[^']*'|\[[^\]]*\]|\d+")

Arrays = Sequence[Any]


class ModelTest(NamedTuple):
    """A model with one set of inputs and answers, in the model's own order."""

    name: str
    model: bytes
    inputs: Arrays
    outputs: Arrays
    relative: float
    absolute: float


class ModelOutcome(NamedTuple):
    """What became of one test: "equal", "wrong" or "refused", and why."""

    name: str
    result: str
    reason: str = ""


def cases(pattern: str = "") -> Iterator[ModelTest]:
    """Yield the tests of the `onnx` wheel whose names have a pattern and that hold their data."""
    from onnx.backend.test.loader import load_model_tests

    for kind in _KINDS:
        for one in load_model_tests(kind=kind):
            if re.search(pattern, one.name):
                yield from _read(one)


def run(pattern: str = "") -> Iterator[ModelOutcome]:
    """Yield what became of each test that ONNX Runtime repeats."""
    for test in cases(pattern):
        expected = _repeated(test)
        if expected is not None:
            yield outcome_of(test, expected)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the counts and the table of reasons; return 1 if an answer was wrong."""
    parser = argparse.ArgumentParser(prog="gnomon bench onnx-models", description=__doc__)
    parser.add_argument("--pattern", default="", help="only tests whose names have this pattern")
    parser.add_argument("--names", action="store_true", help="print the tests behind each reason")
    options = parser.parse_args(arguments)
    logging.getLogger("gnomon.runtime").setLevel(logging.ERROR)
    found = list(run(options.pattern))
    counts = Counter(one.result for one in found)
    print(
        f"{len(found)} models that ONNX Runtime repeats: {counts['equal']} served with equal "
        f"answers, {counts['refused']} refused, {counts['wrong']} with other answers"
    )
    reasons: dict[str, list[str]] = {}
    for one in found:
        if one.result != "equal":
            reasons.setdefault(f"{one.result}: {_NAME.sub('…', one.reason)}", []).append(one.name)
    for reason, names in sorted(reasons.items(), key=lambda item: -len(item[1])):
        print(f"{len(names):5}  {reason[:200]}")
        if options.names:
            print("       " + " ".join(names))
    return 1 if counts["wrong"] else 0


def _read(one: Any) -> Iterator[ModelTest]:
    """Yield a test of the wheel with its first set of data; none if it would be downloaded."""
    if one.model is not None:
        inputs, outputs = one.data_sets[0]
        model = one.model.SerializeToString()
    elif one.model_dir is not None:
        folder = Path(one.model_dir)
        model = (folder / "model.onnx").read_bytes()
        inputs, outputs = (
            [_array(path) for path in _numbered(folder / "test_data_set_0", side)]
            for side in ("input", "output")
        )
    else:
        return
    yield ModelTest(one.name, model, inputs, outputs, one.rtol, one.atol)


def _numbered(folder: Path, side: str) -> list[Path]:
    """Return the files of one side in their order."""
    return sorted(folder.glob(f"{side}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))


def _array(path: Path) -> Any:
    """Return a tensor of a file, or None if it holds something else."""
    import onnx
    from onnx import numpy_helper

    try:
        return numpy_helper.to_array(onnx.load_tensor(path))
    except Exception:
        return None


def _repeated(test: ModelTest) -> dict[str, Any] | None:
    """Return ONNX Runtime's answers by name if they are those that the test expects."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session: Any = onnxruntime.InferenceSession(
            test.model, options, providers=["CPUExecutionProvider"]
        )
        names = [one.name for one in session.get_inputs()]
        if len(names) < len(test.inputs):
            return None
        given = dict(zip(names, test.inputs, strict=False))
        answers = session.run(None, given)
    except Exception:
        return None
    if not all(
        _is_near(found, expected, test)
        for found, expected in zip(answers, test.outputs, strict=False)
    ):
        return None
    return dict(zip([one.name for one in session.get_outputs()], answers, strict=True))


def _is_near(found: Any, expected: Any, test: ModelTest) -> bool:
    """Whether an answer is the expected one, within the test's tolerance."""
    if isinstance(expected, list | tuple) or isinstance(found, list | tuple):
        pairs = isinstance(found, list | tuple) and isinstance(expected, list | tuple)
        return (
            pairs
            and len(found) == len(expected)
            and all(_is_near(one, other, test) for one, other in zip(found, expected, strict=True))
        )
    if found is None or expected is None:
        return found is expected
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return False
    if found.dtype == object or expected.dtype == object:
        return bool((found == expected).all())
    if found.dtype != expected.dtype:
        return False
    try:
        return bool(np.allclose(found, expected, test.relative, test.absolute, equal_nan=True))
    except TypeError:
        return bool((found == expected).all())


def outcome_of(test: ModelTest, expected: Mapping[str, Any]) -> ModelOutcome:
    """Serve a model as a bare file, ask it, and compare its answers with ONNX Runtime's."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(test.model)
        runtime = Runtime(MemorySink())
        try:
            package = write_raw_model(path, Path(folder) / "package", "model", "1")
            runtime.load(package)
            runtime.apply([single("model", package.digest)])
            model = runtime.models[package.digest]
            answers = runtime.predict_columns("model", _columns(model, test.inputs)).outputs
        except GnomonError as error:
            return ModelOutcome(test.name, "refused", str(error))
        finally:
            runtime.close()
    tensors = package.manifest.output_tensors
    if len(tensors) < len(expected):
        left = sorted(set(expected).difference(tensors))
        return ModelOutcome(test.name, "refused", f"outputs {left} are left out")
    by_tensor = dict(zip(tensors, answers.values(), strict=True))
    for name, right in expected.items():
        if not _is_same(model, by_tensor[name], np.asarray(right)):
            return ModelOutcome(test.name, "wrong", f"output {name!r}")
    return ModelOutcome(test.name, "equal")


def _columns(model: Model, inputs: Arrays) -> dict[str, Any]:
    """Return a test's tensors as a call's columns."""
    served = read_served_tensors(model.package.manifest.packing)
    if served is not None:
        is_whole = served.first_axis == "none"
        return {
            one.name: np.asarray(array)[None] if is_whole else np.asarray(array)
            for one, array in zip(served.served_tensors, inputs, strict=True)
        }
    columns: dict[str, Any] = {}
    fields = {field.name: field for field in model.inputs.fields}
    for tensor, array in zip(model.packing.tensors, inputs, strict=True):
        for place, feature in enumerate(tensor.features):
            is_vector = fields[feature.field].kind.is_vector
            columns[feature.field] = array if is_vector else array[:, place]
    return columns


def _is_same(model: Model, found: NDArray[Any], right: NDArray[Any]) -> bool:
    """Whether an answer is the engine's own; only fields' axes of length 1 may be gone."""
    served = read_served_tensors(model.package.manifest.packing)
    if served is not None and served.first_axis == "none":
        found = np.asarray(found[0], found.dtype)
    if served is None and found.size == right.size:
        found = found.reshape(right.shape)
    if found.shape != right.shape:
        return False
    if right.dtype == object:
        return bool((found == right).all())
    return bool(np.array_equal(found, right, equal_nan=right.dtype.kind == "f"))
