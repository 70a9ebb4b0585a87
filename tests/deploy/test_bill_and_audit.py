"""Gnomon's own bill of materials, and what is said of known weaknesses."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.names import ROOT

SBOM = ROOT / "deploy" / "sbom.py"
LOCK = ROOT / "requirements" / "server.txt"


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    module = ModuleType("audit")
    exec((ROOT / "deploy" / "audit.py").read_text(encoding="utf-8"), module.__dict__)
    return module


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("bill") / "made" / "gnomon.cdx.json"
    for _ in range(2):  # the same environment gives the same bill
        before = out.read_bytes() if out.exists() else None
        subprocess.run([sys.executable, "-I", str(SBOM), str(out), str(LOCK)], check=True)
        assert before in (None, out.read_bytes())
    document: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return document


@pytest.mark.slow
def test_the_bill_is_of_the_standard(bill: dict[str, Any]) -> None:
    validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema").SchemaVersion.V1_6
    validator = validation.JsonStrictValidator(schema)
    assert validator.validate_str(json.dumps(bill)) is None


def test_the_bill_has_gnomon_and_what_it_needs(bill: dict[str, Any]) -> None:
    assert bill["metadata"]["component"]["name"] == "gnomon"
    names = {one["name"] for one in bill["components"]}
    assert {"numpy", "grpcio", "cryptography", "onnxruntime", "fastapi"} <= names
    needs = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
    known = {one["bom-ref"] for one in [bill["metadata"]["component"], *bill["components"]]}
    assert set(needs) == known
    assert {need for of_one in needs.values() for need in of_one} <= known


def test_hashes_are_those_of_the_lock(bill: dict[str, Any]) -> None:
    text = LOCK.read_text(encoding="utf-8")
    hashed = [one for one in bill["components"] if "externalReferences" in one]
    assert hashed
    for one in hashed:
        assert f"{one['name']}=={one['version']}" in text
        assert all(found["hashes"][0]["content"] in text for found in one["externalReferences"])


def dependency(name: str, *found: str) -> dict[str, Any]:
    return {"name": name, "version": "1", "vulns": [{"id": one} for one in found]}


UNKNOWN = {"name": "b", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("dependencies", "code", "text"),
    [
        ([dependency("a"), UNKNOWN], 0, "lock: no known weakness in 1 packages; no data on 1"),
        ([dependency("a", "CVE-1"), UNKNOWN], 1, "1 packages have known weaknesses\na 1: CVE-1"),
        ([UNKNOWN], 0, "NOT AUDITED: lock: the index has no data on any of 1 packages"),
        (None, 0, "NOT AUDITED: lock: the data cannot be reached: no network"),
    ],
)
def test_an_audit_without_data_says_so(
    audit: ModuleType, dependencies: list[Any] | None, code: int, text: str
) -> None:
    document = None if dependencies is None else {"dependencies": dependencies}
    found, told = audit.verdict(document, "lock", "no network")
    assert found == code
    assert text in told


def test_a_program_that_fails_is_told(audit: ModuleType, capsys: Any, tmp_path: Path) -> None:
    program = tmp_path / "pip-audit"
    program.write_text("#!/bin/sh\necho 'ERROR: no route to host' >&2\nexit 1\n")
    program.chmod(0o755)
    assert audit.main(str(program), "lock") == 0
    assert capsys.readouterr().out == (
        "NOT AUDITED: lock: the data cannot be reached: ERROR: no route to host\n"
    )
