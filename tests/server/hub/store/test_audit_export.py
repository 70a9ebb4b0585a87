"""The audit chain leaves the hub and is verified without it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gnomon.command.root import root
from gnomon.runtime.audit_chain import verify_export
from gnomon.runtime.errors import InvalidInput


def audit(*arguments: str) -> Result:
    return CliRunner().invoke(root, ["hub", "audit", *arguments, "--json"], standalone_mode=False)


@pytest.fixture
def exported(caller: Any, tmp_path: Path) -> Path:
    for name in ("a", "b", "ü\N{SNOWMAN}"):
        caller.post("keys", key=(name.encode() * 32)[:32].hex(), name=name)
    result = audit("export", str(tmp_path / "chain.jsonl"), "--url", caller.addresses.rest)
    assert (result.exit_code, result.return_value) == (0, 0), result.output
    return tmp_path / "chain.jsonl"


@pytest.mark.both_databases
def test_an_export_is_verified_without_the_hub(caller: Any, exported: Path) -> None:
    here = caller.get("audit/verify")
    found = verify_export(exported)
    assert (found.intact, found.records, found.last) == (True, 3, here["last"])
    told = audit("verify", "--file", str(exported), "--last", found.last)
    assert (told.return_value, json.loads(told.output)["records"]) == (0, 3)
    url = ("--url", caller.addresses.rest)
    assert audit("verify", "--last", found.last, *url).return_value == 0
    assert audit("verify", "--last", "0" * 63 + "1", *url).return_value == 1
    assert len(json.loads(audit("list", *url).output)) == 3


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (lambda lines: [*lines[:2], lines[2].replace("trust", "doubt"), *lines[3:]], "changed"),
        (lambda lines: [*lines[:2], *lines[3:]], "missing"),
        (lambda lines: lines[:-1], "were exported"),
        (lambda lines: [lines[0], lines[2], lines[1], lines[3]], "missing"),
    ],
)
def test_what_was_done_to_an_export_is_reported(exported: Path, tamper: Any, reason: str) -> None:
    lines = exported.read_text(encoding="utf-8").splitlines(keepends=True)
    exported.write_text("".join(tamper(lines)), encoding="utf-8")
    found = verify_export(exported)
    assert not found.intact
    assert reason in found.reason
    assert audit("verify", "--file", str(exported)).return_value == 1


@pytest.mark.parametrize("content", ["", "[]\n", "{}\n", '{"gnomon_audit": 1, "records": 1}\n{}\n'])
def test_what_is_no_export_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "chain").write_text(content)
    with pytest.raises(InvalidInput):
        verify_export(tmp_path / "chain")
