"""The cost of a checked and counted prediction, in CPU time: `python -m gnomon.bench.core.predict`.

One row of 12 fields (ten numbers, two categories) through a network of 16-32-16-1. All variants
alternate in one process, so that other load on the machine affects them all. The figures are the
least CPU time of the rounds, threads of the recorder included. "Check plus window" is what the
contracts of inputs and outputs and the window add to the same ONNX prediction.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.bench.core.contract import CostComparison
from gnomon.bench.core.dense_network import dense_network
from gnomon.core.fields import Field, Kind
from gnomon.core.profiling import build_reference
from gnomon.core.window import ANSWERED_CODE
from gnomon.runtime.models.model import Model
from gnomon.runtime.packages.golden import Golden, encode_golden
from gnomon.runtime.packages.manifest import Reproducibility, Signature, TensorSpec
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.profile import Profile, encode_profile
from gnomon.runtime.packages.writing import write_package
from gnomon.runtime.recording.sink import NullSink
from gnomon.runtime.recording.window_row import count_row
from gnomon.runtime.routing import routes
from gnomon.runtime.runtime import Runtime

__all__ = ["main", "run"]

ROUNDS = 30
CALLS = 2_000
#: What the check and the window may add to a prediction, in ns.
PROMISE_NS = 1_000.0
CARRIERS = ("UA", "AA", "DL")
ORIGINS = ("JFK", "LGA", "EWR")
NUMBERS = 10
LAYERS = (NUMBERS + len(CARRIERS) + len(ORIGINS), 32, 16, 1)


def run(rounds: int = ROUNDS) -> list[CostComparison]:
    """Measure the extra cost of check plus window, and the whole call beside ONNX Runtime's."""
    with tempfile.TemporaryDirectory() as folder, _serving(Path(folder)) as (runtime, model):
        row = _row()
        best = _least(_ways(runtime, model, row), rounds)
    extra = best["checked"] - best["alone"]
    results = [
        CostComparison("check plus window, of 1 µs promised", "row", extra, PROMISE_NS, 1.0),
        CostComparison(
            "prediction with check and window, to one without",
            "row",
            best["checked"],
            best["alone"],
        ),
        CostComparison(
            "Runtime.predict, to InferenceSession.run alone",
            "row",
            best["runtime"],
            best.get("python", math.nan),
        ),
        CostComparison(
            "Runtime.predict without samples, to the same",
            "row",
            best["unsampled"],
            best.get("python", math.nan),
        ),
    ]
    return results


def main() -> None:
    """Print the comparisons."""
    for result in run():
        print(result)


def _ways(runtime: Runtime, model: Model, row: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    work = model.acquire()
    window = model.package.profile.new_window()
    runner = work.runner
    assert runner is not None  # noqa: S101
    model.answer_row(row, work)

    def checked() -> None:
        model.inputs.check_row(row, work.inputs)
        (answer,) = runner.run(work.inputs)
        model.outputs.check_row({"air_time": answer}, work.outputs)
        count_row(window, work.inputs, work.outputs, ANSWERED_CODE, 5_000)

    def alone() -> None:
        (answer,) = runner.run(work.inputs)
        _ = {"air_time": answer}

    ways = {
        "alone": alone,
        "checked": checked,
        "runtime": lambda: runtime.predict("sampled", row),
        "unsampled": lambda: runtime.predict("unsampled", row),
    }
    return ways | _peer(model)


def _peer(model: Model) -> dict[str, Callable[[], Any]]:
    try:
        import onnxruntime
    except ImportError:
        return {}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(
        model.package.read_model(), options, providers=["CPUExecutionProvider"]
    )
    features = {"features": np.ones((1, LAYERS[0]), np.float32)}
    return {"python": lambda: session.run(None, features)}


def _least(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the least CPU time of one call of each way in ns, all in turn."""
    best = dict.fromkeys(ways, math.inf)
    for _ in range(rounds):
        for name, call in ways.items():
            start = time.process_time_ns()
            for _ in range(CALLS):
                call()
            best[name] = min(best[name], (time.process_time_ns() - start) / CALLS)
    return best


@contextmanager
def _serving(folder: Path) -> Iterator[tuple[Runtime, Model]]:
    runtime = Runtime(NullSink())
    try:
        loaded = {
            name: runtime.load(_package(folder / name, sample_permille))
            for name, sample_permille in (("sampled", 1_000), ("unsampled", 0))
        }
        runtime.apply([routes.single(name, model.digest) for name, model in loaded.items()])
        yield runtime, loaded["sampled"]
    finally:
        runtime.close()


def _package(folder: Path, sample_permille: int) -> Package:
    profile = _profile()
    reproducibility = Reproducibility(
        code_version="", code_clean=False, dataset_uri="", dataset_fingerprint="", split={}
    )
    fields = {
        "name": "bench",
        "version": "1",
        "format": "onnx",
        "model_file": "model.onnx",
        "signature": Signature(
            inputs=tuple(
                TensorSpec(name=one.name, datatype="FP64", shape=(-1, 1)) for one in profile.inputs
            ),
            outputs=(TensorSpec(name="air_time", datatype="FP32", shape=(-1, 1)),),
        ),
        "packing": {"tensors": [_tensor(profile)]},
        "output_tensors": ("air_time",),
        "deployment": {"sample_permille": sample_permille},
        "reproducibility": reproducibility,
    }
    files: dict[str, bytes | Path] = {
        "model.onnx": dense_network(LAYERS, "air_time"),
        "profile.json": encode_profile(profile),
        "golden.json": encode_golden(Golden(rows=(_row(),), outputs=({},))),
    }
    return write_package(folder, fields, files, None)


def _tensor(profile: Profile) -> dict[str, Any]:
    features = [
        {"field": one.name, "encode": "onehot" if one.kind.is_text else "value"}
        for one in profile.inputs
    ]
    return {"name": "features", "dtype": "FP32", "features": features}


def _profile() -> Profile:
    rng = np.random.default_rng(3)
    numbers = [
        Field(name=f"x{index}", kind=Kind.FLOAT64, minimum=-100, maximum=100)
        for index in range(NUMBERS)
    ]
    texts = [
        Field(name="carrier", kind=Kind.CATEGORY, allowed=CARRIERS),
        Field(name="origin", kind=Kind.CATEGORY, allowed=ORIGINS),
    ]
    outputs = [Field(name="air_time", kind=Kind.FLOAT32, minimum=-1e6, maximum=1e6)]
    columns: dict[str, Any] = {field.name: rng.normal(size=5_000) for field in numbers}
    columns |= {one.name: rng.choice(one.allowed or (), 5_000).astype(object) for one in texts}
    return Profile(
        inputs=(*numbers, *texts),
        rules=(),
        outputs=tuple(outputs),
        input_reference=build_reference([*numbers, *texts], columns),
        output_reference=build_reference(
            outputs, {"air_time": rng.normal(size=5_000).astype(np.float32)}
        ),
    )


def _row() -> dict[str, Any]:
    rng = np.random.default_rng(7)
    numbers = {f"x{index}": float(rng.normal()) for index in range(NUMBERS)}
    return {**numbers, "carrier": "AA", "origin": "JFK"}


if __name__ == "__main__":
    main()
