"""`docs/agent.md` names every figure of the status, and every file of the data folder."""

import dataclasses
import re
from pathlib import Path

import pytest

from gnomon.edge.agent import Agent
from gnomon.edge.settings import NodeSettings
from gnomon.edge.status import NodeStatus
from gnomon.edge.telemetry.figures import SpoolFigures
from gnomon.edge.telemetry.uploader import FIRST_BATCH_BYTES, MOST_BATCH_BYTES
from tests.support.names import ROOT
from tests.support.packages import make_package

PAGE = (ROOT / "docs" / "agent.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("field", [one.name for one in dataclasses.fields(NodeStatus)])
def test_each_field_of_the_status_is_described(field: str) -> None:
    assert field == "name" or f"`{field}`" in PAGE


@pytest.mark.parametrize("field", [one.name for one in dataclasses.fields(SpoolFigures)])
def test_each_figure_of_the_spool_is_described(field: str) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| `spool` |"))
    words = {"bytes": "records", "in_memory": "in memory", "disk_error": "disk"}
    assert words.get(field, field) in row


def test_defaults_are_those_of_the_code() -> None:
    settings = NodeSettings(hub="localhost:1")
    assert f"`spool_bytes` ({settings.spool_bytes >> 20} MiB)" in PAGE
    assert f"`checkpoint_seconds` ({settings.checkpoint_seconds:g})" in PAGE
    assert f"`kept_seconds` ({settings.kept_seconds / 3_600:g} hours)" in PAGE
    assert f"`examination_seconds` ({settings.examination_seconds:g})" in PAGE
    assert f"`examination_memory_bytes` ({settings.examination_memory_bytes >> 30} GiB" in PAGE
    assert f"begins with {FIRST_BATCH_BYTES >> 10} KiB" in PAGE
    assert f"up to {MOST_BATCH_BYTES >> 10} KiB" in PAGE


def test_the_page_predicts_a_table(tmp_path: Path) -> None:
    section = PAGE.split("## Predicting rows and tables")[1]
    found = re.search("```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    make_package(tmp_path / "eta", None)
    with Agent(package=tmp_path / "eta") as agent:
        exec(found[1], {"agent": agent})
