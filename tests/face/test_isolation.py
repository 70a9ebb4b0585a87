"""A model that names files by relative paths finds none: whatever loads one has an empty folder."""

import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from gnomon.command.root import run
from gnomon.delivery.worker_process import run_worker
from gnomon.runtime.engines.sklearn import load
from gnomon.runtime.errors import EngineError
from gnomon.runtime.packages.manifest import Manifest, Reproducibility, Signature
from gnomon.runtime.packages.signing import Signer
from tests.support.recipes import linear_onnx, write_project

pytestmark = pytest.mark.slow

ROWS = np.random.default_rng(0).normal(size=(20, 2))


def manifest() -> Manifest:
    """Return as much of a manifest as loading an estimator needs."""
    record = Reproducibility(
        code_version="", code_clean=True, dataset_uri="", dataset_fingerprint="", split={}
    )
    return Manifest(
        name="m",
        version="1",
        format="sklearn",
        model_file="model.sklearn",
        signature=Signature(inputs=(), outputs=()),
        packing={},
        output_tensors=("predict",),
        files=(),
        reproducibility=record,
    )


class Lists:
    """Unpickled, it writes down what lies in the working directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"ls -A > '{self.path}'; pwd >> '{self.path}'",)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a secret in it."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "key.pem").write_text("secret")
    monkeypatch.chdir(folder)
    return folder


def test_an_import_runs_in_an_empty_folder(here: Path, capfd: Any) -> None:
    estimator: Any = Ridge().fit(ROWS, ROWS[:, 0])
    estimator.extra = Lists(here / "seen")
    Path("model.pkl").write_bytes(pickle.dumps(estimator))
    arguments = ["package", "import", "model.pkl", "out", "--unpickle", "--name", "m"]
    assert run([*arguments, "--version", "1", "--json"]) == 0
    (folder,) = Path("seen").read_text().splitlines()
    assert folder != str(here)
    assert not Path(folder).exists()
    assert json.loads(capfd.readouterr().out)["path"] == str(here / "out")


def test_options_and_errors_of_an_import_cross(here: Path, capfd: Any) -> None:
    Path("m.onnx").write_bytes(linear_onnx([1.0, 2.0]))
    Signer.generate().save(Path("own.pem"))
    arguments = ["package", "import", "m.onnx", "-m", "--name", "m", "--version", "1"]
    assert run([*arguments[:3], "out", *arguments[4:], "--columns", "a,b", "--key", "own.pem"]) == 0
    assert "made-up rows" in capfd.readouterr().out
    assert run([*arguments[:3], "other", *arguments[4:], "--columns", "a,b,c"]) == 2
    assert "3 columns are named, but the model takes 2" in capfd.readouterr().err
    assert sorted(path.name for path in here.iterdir()) == ["key.pem", "m.onnx", "out", "own.pem"]


def test_a_rebuild_runs_in_an_empty_folder_with_relative_paths(here: Path, capfd: Any) -> None:
    write_project(here / "project")
    Signer.generate().save(Path("own.pem"))
    Path("own.pub").write_text(Signer.load(Path("own.pem")).public_key.hex())
    assert run(["package", "build", "project/recipe.toml", "built", "--key", "own.pem"]) == 0
    arguments = ["package", "rebuild", "built", "again", "--data", "project"]
    assert run([*arguments, "--key", "own.pem", "--trust", "own.pub"]) == 0
    assert "the same digest" in capfd.readouterr().out


class Request(msgspec.Struct):
    word: str


class Reply(msgspec.Struct):
    files: list[str]
    word: str
    environment: list[str]


def test_a_worker_gets_an_empty_folder_and_no_environment(here: Path) -> None:
    code = (
        "import json, os, sys; word = json.load(sys.stdin)['word']\n"
        "names = sorted(set(os.environ) - {'LC_CTYPE'})\n"
        "print(json.dumps({'files': os.listdir(), 'word': word, 'environment': names}))"
    )
    reply = run_worker([sys.executable, "-c", code], Request("so"), Reply, seconds=60)
    assert reply == Reply(files=[], word="so", environment=[])
    with pytest.raises(EngineError, match=r"its process ended with 3: .*no such thing"):
        code = "import sys; print('no such thing', file=sys.stderr); sys.exit(3)"
        run_worker([sys.executable, "-c", code], Request(""), Reply, seconds=60)
    with pytest.raises(EngineError, match=r"was not done after 0\.1 s"):
        run_worker(
            [sys.executable, "-c", "import time; time.sleep(9)"], Request(""), Reply, seconds=0.1
        )


def test_an_estimator_runs_in_an_empty_folder_that_goes_with_it(here: Path) -> None:
    engine = load(pickle.dumps(Ridge().fit(ROWS, ROWS[:, 0])), manifest())
    assert engine._process
    folder = Path(f"/proc/{engine._process.pid}/cwd").readlink()
    assert list(folder.iterdir()) == []
    engine.close()
    assert not folder.exists()
