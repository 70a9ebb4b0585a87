"""The engine of trees: the core's own answers through each of its ways, and refusals by name."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from gnomon.core.trees import TreeModel
from gnomon.runtime.engines import Engine, EngineClosed, available_engines, load_engine
from gnomon.runtime.errors import EngineError
from gnomon.runtime.models.model import Model
from gnomon.runtime.packages.manifest import Manifest
from gnomon.runtime.packages.package import Package
from gnomon.runtime.raw_models.raw_model import write_raw_model
from tests.support.trees import SPECIAL, classifier, stump

ROWS = np.random.default_rng(0).choice([*SPECIAL, 0.25, 0.35, 7.0], (150, 3))


@pytest.fixture
def manifest(package: Package) -> Manifest:
    outputs = ("prediction", "raw_score")
    return msgspec.structs.replace(package.manifest, format="trees", output_tensors=outputs)


@pytest.fixture
def engine(manifest: Manifest) -> Engine:
    return load_engine("trees", classifier().to_bytes(), manifest)


def raw(folder: Path, content: bytes) -> Model:
    path = folder / "model.trees"
    path.write_bytes(content)
    return Model(write_raw_model(path, folder / "package", "found", "1"))


@pytest.mark.parametrize("rows", [0, 1, 9, 64, 65, 150])
def test_columns_have_the_bits_of_the_core(engine: Engine, rows: int) -> None:
    answers = engine.run({"input": np.ascontiguousarray(ROWS[:rows])})
    model = TreeModel(classifier().to_bytes())
    for name, expected in (("prediction", model.predict), ("raw_score", model.scores)):
        assert answers[name].dtype == np.float32
        assert answers[name].tolist() == expected(ROWS[:rows]).astype(np.float32).tolist()


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((2, 4)), "shape"),
        (np.zeros((2, 3), np.float32), "float32"),
        (np.zeros(3), "shape"),
        (np.zeros((3, 2)).T, "contiguous"),
    ],
)
def test_other_tensors_are_refused_by_name(engine: Engine, array: np.ndarray, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        engine.run({"input": array})
    with pytest.raises(EngineError, match="'input' is missing"):
        engine.run({})


def test_a_closed_engine_says_so(engine: Engine) -> None:
    engine.close()
    engine.close()
    with pytest.raises(EngineClosed):
        engine.run({"input": ROWS})


@pytest.mark.parametrize(
    ("content", "outputs", "said"),
    [
        (b"gnmtrees", ("prediction",), "cannot be loaded"),
        (stump().to_bytes(), ("raw_score",), "no output"),
    ],
)
def test_what_cannot_be_loaded_is_refused_by_name(
    manifest: Manifest, content: bytes, outputs: tuple[str, ...], said: str
) -> None:
    described = msgspec.structs.replace(manifest, output_tensors=outputs)
    with pytest.raises(EngineError, match=said):
        load_engine("trees", content, described)


def test_a_row_alone_is_answered_as_among_others(tmp_path: Path) -> None:
    model = raw(tmp_path, classifier().to_bytes())
    assert [field.name for field in model.inputs.fields] == ["column_0", "column_1", "column_2"]
    assert model.engine.row_runner(model.packing)
    finite = np.where(np.isfinite(ROWS), ROWS, np.nan)
    columns = {f"column_{place}": finite[:, place].copy() for place in range(3)}
    together = model.predict_columns(columns)
    for place, row in enumerate(finite[:20]):
        values = [None if np.isnan(one) else one for one in row.tolist()]
        alone = model.predict_row(dict(zip(columns, values, strict=True)))
        for name in ("prediction", "raw_score"):
            assert alone[name] == together[name][place].tolist()
    model.sleep()
    with pytest.raises(EngineClosed):
        model.predict_row({"column_0": 1.0, "column_1": 1.0, "column_2": 1.0})
    model.wake()
    assert model.predict_row({"column_0": 1.0, "column_1": None, "column_2": 1.0})
    model.close()


def test_one_number_is_answered_as_float64(tmp_path: Path) -> None:
    writer = stump()
    writer.starts = [0.1]
    model = raw(tmp_path, writer.to_bytes())
    assert model.predict_row({"input": 1.0}) == {"prediction": 1.1}
    assert model.predict_row({"input": None}) == {"prediction": 1.1}
    model.close()


def test_trees_need_no_library() -> None:
    assert available_engines()[0] == "trees"
