"""Trees are compared with the library that trained them, and no package is made of others."""

import json
from pathlib import Path

import numpy as np
import pytest

from gnomon.core.trees import TreeModel
from gnomon.core.trees.splits import hostile_rows, read_splits
from gnomon.pipeline.formats.importing import import_model, read_source
from gnomon.pipeline.proofs import tree_oracle
from gnomon.pipeline.proofs.tree_proof import compare_with_trainer, prove_file
from gnomon.runtime.errors import PackageError
from gnomon.runtime.packages.signing import Signer
from gnomon.runtime.raw_models.trees.recognise import as_trees
from tests.support.trees import stump

lightgbm = pytest.importorskip("lightgbm")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = np.random.default_rng(0).standard_normal((300, 3))
    rows[:, 2] = np.random.default_rng(1).integers(0, 9, 300)
    rows[:40, 1] = np.nan
    target = (rows[:, 0] + rows[:, 2] > 3).astype(float)
    data = lightgbm.Dataset(rows, target, categorical_feature=[2])
    settings = {"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
    path = tmp_path_factory.mktemp("proof") / "model.txt"
    lightgbm.train(settings, data, 9).save_model(path)
    return path


def test_splits_are_those_of_the_file(trained: Path) -> None:
    assert {place: one.tolist() for place, one in read_splits(stump().to_bytes()).items()} == {
        0: [0.5]
    }
    splits = read_splits(as_trees(trained.read_bytes()))
    text = trained.read_text()
    assert all(f"{one:.17g}" in text or repr(float(one)) in text for one in splits[0])
    assert splits[2].tolist() == list(range(len(splits[2])))


def test_hostile_rows_are_at_splits_and_beside_them() -> None:
    rows = hostile_rows({0: np.array([0.5])}, 2, 2_000)
    found = set(rows[:, 0].tolist())
    assert {0.5, float(np.nextafter(0.5, 1)), float(np.nextafter(0.5, 0)), np.inf} <= found
    assert np.isnan(rows).any()
    tame = hostile_rows({}, 2, 500, missing=False, infinite=False, beyond_float32=False)
    assert np.isfinite(tame.astype(np.float32)).all()


@pytest.mark.slow
def test_an_import_is_compared_and_the_proof_signed(tmp_path: Path, trained: Path) -> None:
    source = read_source(trained)
    assert source.proof is not None
    assert source.proof.different_scores == 0
    assert source.proof.version == lightgbm.__version__
    package = import_model(source, tmp_path / "a", "a", "1", signer=Signer.generate())
    (file,) = (package.path / "attestations").glob("parity-*.json")
    assert "payload" in json.loads(file.read_bytes())
    assert read_source(trained, proof=False).proof is None


@pytest.mark.slow
def test_trees_that_answer_otherwise_are_refused(trained: Path) -> None:
    file = bytearray(as_trees(trained.read_bytes()))
    model = TreeModel(bytes(file))
    # The start of the only output stands behind the header.
    file[112:120] = np.float64(1e-15).tobytes()
    assert TreeModel(bytes(file)).scores(np.zeros((1, 3))) != model.scores(np.zeros((1, 3)))
    with pytest.raises(PackageError, match=r"otherwise than LightGBM.*raw scores differ"):
        compare_with_trainer("LightGBM", trained, bytes(file), count=500)


def test_without_the_library_nothing_is_compared(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tree_oracle.ORACLES, "LightGBM", ("no_such_library", None))
    assert prove_file(trained, as_trees(trained.read_bytes())) is None


@pytest.mark.slow
def test_a_library_that_fails_is_told(tmp_path: Path, trained: Path) -> None:
    broken = tmp_path / "broken.txt"
    broken.write_text("tree\nversion=v4\nnonsense\n")
    with pytest.raises(PackageError, match=r"broken\.txt could not be compared with LightGBM"):
        compare_with_trainer("LightGBM", broken, as_trees(trained.read_bytes()), count=10)


SPY = """
import json, os, sys
import numpy as np
request = json.load(sys.stdin)
np.save(request["answers"], np.zeros(len(np.load(request["rows"]))))
print(json.dumps({"version": " ".join(sorted(os.environ))}))
"""


def test_the_library_sees_no_secret_of_this_process(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spy.py").write_text(SPY)
    monkeypatch.setattr(tree_oracle, "__file__", str(tmp_path / "spy.py"))
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    with pytest.raises(PackageError, match="OMP_NUM_THREADS") as refused:
        compare_with_trainer("LightGBM", trained, as_trees(trained.read_bytes()), count=10)
    assert "DATABASE_PASSWORD" not in str(refused.value)


def test_the_oracle_imports_nothing_of_ours() -> None:
    text = Path(tree_oracle.__file__).read_text(encoding="utf-8")
    assert "import gnomon" not in text
    assert "from gnomon" not in text
