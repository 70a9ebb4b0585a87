"""Every command that lists: chosen columns, ids whole, no word broken, `--wide` for all columns."""

import dataclasses
import io
import re
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gnomon.command.root import run
from gnomon.command.shared import hub_command, output
from gnomon.command.shared.listing import render_list, with_versions
from gnomon.pipeline.steps.record import PipelineRun, RunState
from gnomon.pipeline.steps.running import open_log
from gnomon.server.hub.access.environments import EnvironmentRecord
from gnomon.server.hub.access.nodes import NodeRecord
from gnomon.server.hub.access.principals import PrincipalRecord
from gnomon.server.hub.ingest.counts import OutcomeCount
from gnomon.server.hub.monitoring.alerts import Alert
from gnomon.server.hub.rollout.listing import RolloutRecord
from gnomon.server.hub.store.audit import AuditRecord
from gnomon.server.hub.versions.approvals import Approval
from gnomon.server.hub.versions.catalogue import ModelSummary
from gnomon.server.hub.versions.history_records import Lineage, ModelHistory
from gnomon.server.hub.versions.runs import RunSummary
from gnomon.server.hub.versions.search import SearchPage
from gnomon.server.hub.webhooks.targets import DeliveryRecord, WebhookRecord
from tests.support.names import commands

ULID = "01M8P4WZZ1QK3V7N5T2R9XBYCD"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
TEXT = "distance looks as if its unit had changed: miles to kilometres, in 412 of 1,204 rows"
PROSE = {"text", "reason", "error"}

#: The words of each command that lists → the record it shows, alone or in a list.
LISTS: dict[str, Any] = {
    "hub alerts": list[Alert],
    "hub audit list": list[AuditRecord],
    "hub counts": list[OutcomeCount],
    "hub environments": list[EnvironmentRecord],
    "hub nodes": list[NodeRecord],
    "hub principal list": list[PrincipalRecord],
    "hub rollouts": list[RolloutRecord],
    "hub webhook deliveries": list[DeliveryRecord],
    "hub webhook list": list[WebhookRecord],
    "registry approvals": list[Approval],
    "registry at": list[ModelHistory],
    "registry models": list[ModelSummary],
    "registry runs": list[RunSummary],
    "registry show": Lineage,
    "registry versions": SearchPage,
}
#: What these take: a model, an instant, a webhook.
ARGUMENTS = {
    "registry approvals": "eta@1",
    "registry at": "2026-03-01",
    "registry show": "eta@1",
    "hub webhook deliveries": "hook",
}
#: The id by which another command finds what is listed.
IDS = {
    "hub alerts": ULID,
    "hub rollouts": ULID,
    "hub webhook deliveries": ULID,
    "registry at": ULID,
    "registry runs": ULID,
    "registry show": DIGEST,
}


def sample(kind: Any, name: str = "") -> Any:
    """Return a value of a type as JSON has it, with texts as long as they become."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return {one: sample(hint, one) for one, hint in get_type_hints(kind).items()}
    if get_origin(kind) is list:
        return [sample(get_args(kind)[0], name)]
    if get_origin(kind) is dict:
        return {"name": {"nested": "value"}, "other": "[/b]"}
    if get_args(kind):  # a union
        return sample(get_args(kind)[0], name)
    if kind is str and name in PROSE:
        return TEXT
    texts = {"id": ULID, "digest": DIGEST, "boot": ULID, "hash": DIGEST, "previous": DIGEST}
    values = {str: texts.get(name, f"{name}-1"), int: 1_775_000_000_000, bool: True}
    return values.get(kind, {})


class AnsweringHub:
    """Answers each call of a command with the one payload."""

    url = "http://127.0.0.1:8600"

    def __init__(self, payload: Any) -> None:
        self.payload = payload

    def __enter__(self) -> "AnsweringHub":
        return self

    def __exit__(self, *_: object) -> None: ...

    def get(self, path: str, **_: Any) -> Any:
        return {} if path.endswith("/aliases") else self.payload


def listing(words: str, width: int, monkeypatch: pytest.MonkeyPatch, *flags: str) -> str:
    """Return what a command prints on a terminal of that many columns."""
    received = io.StringIO()
    console = Console(file=received, width=width, markup=False, emoji=False, highlight=False)
    monkeypatch.setattr(output, "console", console)
    answering = AnsweringHub(sample(LISTS[words]))
    monkeypatch.setattr(hub_command, "connect", lambda *_: answering)
    argument = [ARGUMENTS[words]] if words in ARGUMENTS else []
    assert run([*words.split(), *argument, *flags]) == 0
    return received.getvalue()


def words_of(text: str) -> set[str]:
    """Return the words of a text but for borders, and the colon after a column's name."""
    return {word.removesuffix(":") for word in re.sub("[\u2500-\u257f]", " ", text).split()}


def test_every_command_that_lists_is_examined_here() -> None:
    wide = {
        words
        for words, command in commands().items()
        if words.startswith(("hub ", "registry "))
        and any(one.name == "wide" for one in command.params)
    }
    assert wide == set(LISTS)


@pytest.mark.parametrize("width", [80, 140, output.PIPE_COLUMNS])
@pytest.mark.parametrize("words", LISTS)
def test_no_id_is_cut_and_no_word_broken(
    words: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = listing(words, width, monkeypatch)
    assert words not in IDS or IDS[words] in words_of(shown)
    assert words_of(listing(words, output.PIPE_COLUMNS, monkeypatch)) <= words_of(shown)
    for line in shown.splitlines():
        assert len(line) <= width or re.fullmatch(r"  \w+: \S+", line), line


@pytest.mark.parametrize("words", LISTS)
def test_columns_are_few_and_wide_shows_all(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = listing(words, output.PIPE_COLUMNS, monkeypatch)
    wide = listing(words, output.PIPE_COLUMNS, monkeypatch, "--wide")
    tables = [line for line in usual.splitlines() if "┃" in line]
    assert tables
    assert all(line.count("┃") < 7 for line in tables)
    assert words_of(usual) <= words_of(wide)
    record = LISTS[words]
    if get_origin(record) is list and record not in (list[ModelHistory], list[PrincipalRecord]):
        assert set(get_type_hints(get_args(record)[0])) <= words_of(wide)


def test_runs_recorded_here_are_listed_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"id": ULID, "pipeline": "eta", "trigger": "hand", "error": TEXT}
    open_log(tmp_path).end(PipelineRun(state=RunState.FAILED, started_at=0, ended_at=9, **values))
    received = io.StringIO()
    monkeypatch.setattr(output, "console", Console(file=received, width=80, markup=False))
    assert run(["pipeline", "runs", "--state-folder", str(tmp_path)]) == 0
    assert words_of(f"{ULID} {TEXT}") <= words_of(received.getvalue())


def test_a_rollout_is_a_line_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"id": ULID, "model": "eta", "champion": "1", "candidate": "2", "weight": 1000}
    values |= {"state": "rolled_back", "environment": "production"}
    received = io.StringIO()
    monkeypatch.setattr(output, "console", Console(file=received, width=80, markup=False))
    names = ("id", "versions", "state", "weight", "environment")
    render_list("Rollouts", with_versions([values]), names)
    *_, line = received.getvalue().splitlines()
    shown = [ULID, "eta 1 → 2", "rolled_back", "1000", "production"]
    assert [cell.strip() for cell in line.split("│")] == shown


def test_what_is_nested_is_shown_with_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = listing("hub nodes", output.PIPE_COLUMNS, monkeypatch, "--wide")
    assert 'name={"nested": "value"}, other=[/b]' in shown


WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=30)
PHRASES = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)


@pytest.mark.slow
@given(
    rows=st.lists(st.tuples(PHRASES, PHRASES, PHRASES), min_size=1, max_size=4),
    width=st.integers(40, 200),
)
def test_no_table_breaks_a_word(rows: list[tuple[str, str, str]], width: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        received = io.StringIO()
        patched.setattr(output, "console", Console(file=received, width=width, markup=False))
        output.show(output.table("Texts", ["one", "two", "three"], rows))
    assert words_of(" ".join(map(" ".join, rows))) <= words_of(received.getvalue())
