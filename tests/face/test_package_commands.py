"""The commands around packages: what they print, and that it is so."""

import json
from pathlib import Path
from typing import Any

import pytest

from gnomon.command.root import run
from gnomon.runtime.package import Package
from gnomon.runtime.signing import Signer, TrustStore
from tests.pipeline.recipes import write_project


def ask(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """Run a command with --json; return what it printed."""
    assert run([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    Signer.generate().save(tmp_path / "key.pem")
    return tmp_path / "key.pem"


def test_the_printed_example_is_built_and_verified(
    tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["package", "build", "--example"]) == 0
    recipe = write_project(tmp_path, capsys.readouterr().out)
    out = tmp_path / "packages" / "duration-1"
    built = ask(capsys, "package", "build", str(recipe), str(out), "--key", str(key))
    public = Signer.load(key).public_key
    assert Package.open(out, TrustStore([public])).digest == built["digest"]
    assert built["test_metrics"]["mae"] > 0
    assert built["golden_samples"] >= 20
    verified = ask(capsys, "package", "verify", str(out), "--key", public.hex())
    assert verified["signers"] == built["signers"]
    assert run(["package", "build", str(recipe), str(out)]) == 0
    assert "duration@1 (onnx)" in capsys.readouterr().out


def test_a_wrong_recipe_is_the_callers_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_project(tmp_path, 'name = "x"\nspeed = 1\n')
    problem = ask(capsys, "package", "build", str(recipe), str(tmp_path / "out"), code=2)
    assert "unknown key speed; known are name, version" in problem["message"]
    assert problem["error"] == "configuration"
