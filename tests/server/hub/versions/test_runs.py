"""Runs of builds: recorded once, listed, and part of a version's lineage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gnomon.client.hub import HubClient
from gnomon.delivery.pipeline_watch import fetch_facts
from gnomon.delivery.run_sender import PipelineSettings, send_runs
from gnomon.pipeline.steps.log import RunLog
from gnomon.pipeline.steps.record import PipelineRun, RunState, StepRecord
from gnomon.pipeline.steps.triggers import Alerts, Facts, Labels, RunConditions
from gnomon.runtime.ids import new_id
from gnomon.runtime.packages.package import Package
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.process import Hub

pytestmark = pytest.mark.both_databases

Make = Callable[..., Package]


def record(*packages: Package, **changes: Any) -> PipelineRun:
    steps = tuple(
        StepRecord(
            name=f"package-{package.manifest.format}",
            state="done",
            seconds=1.0,
            kind="package",
            key="k",
            about={
                "name": package.manifest.name,
                "version": package.manifest.version,
                "format": package.manifest.format,
                "digest": package.digest,
                "metrics": {"mae": 3.5},
            },
        )
        for package in packages
    )
    known: dict[str, Any] = {
        "id": new_id(),
        "pipeline": "flights",
        "trigger": "hand",
        "state": RunState.SUCCEEDED,
        "started_at": 1_000,
        "ended_at": 2_500,
        "code_version": "git:abc",
        "code_clean": True,
    }
    return PipelineRun(steps=steps, **(known | changes))


def post(caller: Any, one: PipelineRun, **changes: Any) -> Any:
    return caller.http.post("/api/v1/runs", json=one.to_dict() | changes)


def test_a_run_is_recorded_once(caller: Any) -> None:
    one = record()
    assert post(caller, one).json() == {"id": one.id, "created": True}
    assert post(caller, one).json() == {"id": one.id, "created": False}
    other = post(caller, one, error="no")
    assert other.status_code == 409
    assert "a run never changes" in other.json()["detail"]
    assert [row["id"] for row in caller.get("runs")] == [one.id]
    audited = [row for row in caller.get("audit") if row["action"] == "record_run"]
    assert [row["detail"]["run"] for row in audited] == [one.id]


def test_a_version_is_followed_to_its_runs(builder: Any, caller: Any, make: Make) -> None:
    package = make()
    failed, made = record(state=RunState.FAILED, error="no"), record(package)
    for one in (made, failed):
        assert post(caller, one).status_code == 201
    builder.publish(package)
    lineage = caller.get("models/eta/versions/1/lineage")
    assert [row["id"] for row in lineage["runs"]] == [made.id]
    known = caller.get(f"runs/{made.id}")
    assert known["metrics"] == {"mae": 3.5}
    assert known["packages"][0]["digest"] == package.digest
    assert known["reporter"] == "local"


def test_runs_are_listed_newest_first(caller: Any) -> None:
    ones = [record(pipeline=name) for name in ("a", "b", "a")]
    ones.append(record(pipeline="a", state=RunState.REFUSED))
    for one in ones:
        post(caller, one)

    def listed(**filters: Any) -> list[str]:
        return [row["id"] for row in caller.get("runs", **filters)]

    ids = sorted((one.id for one in ones), reverse=True)
    assert listed() == ids
    assert listed(limit=2) == ids[:2]
    assert listed(before=ids[1]) == ids[2:]
    assert len(listed(pipeline="a")) == 3
    assert listed(state="refused") == [ones[-1].id]
    assert caller.http.get(f"/api/v1/runs/{new_id()}").status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "01"},
        {"state": "running"},
        {"log": "x" * 64_001},
        {"packages": [{"name": "eta", "version": "1", "format": "onnx", "digest": "../.."}]},
        {"surprise": 1},
    ],
)
def test_what_is_no_record_is_refused(caller: Any, changes: dict[str, Any]) -> None:
    assert post(caller, record(), **changes).status_code == 422
    assert caller.get("runs") == []


def test_what_a_pipeline_waits_for_is_asked(caller: Any, hub: Hub) -> None:
    when = RunConditions(labels=Labels(model="eta"), alerts=Alerts(model="eta"))
    with HubClient(caller.addresses.rest) as client:
        assert fetch_facts(client, when) == Facts()
        with hub.services.database.write() as connection:
            for kind in ("all_moved", "source_moved"):
                condition = alerts.Condition("eta", kind, "", "temp", "1", f"{kind}!", {})
                alerts.raise_alert(connection, condition)
        found = fetch_facts(client, when)
    assert sorted(kind for _, kind in found.alerts) == ["all_moved", "source_moved"]
    assert list(found.alerts) == sorted(found.alerts)


def test_a_run_that_is_not_taken_holds_up_no_other(caller: Any, tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    others, refused, own = (
        record(pipeline="delta"),
        record(log="x" * 64_001),
        record(pipeline="eta"),
    )
    for one in (others, refused, own):
        log.end(one)
    key = caller.post("principals", name="bea", role="builder", models="eta")["key"]
    settings = PipelineSettings(url=caller.addresses.rest, api_key=key)
    assert "bea" in send_runs(log, settings)
    assert [row["id"] for row in caller.get("runs")] == [own.id]
    assert [one.id for one in log.unsent(settings.url)] == [others.id]


def test_a_builder_sends_what_the_hub_lacks(caller: Any, tmp_path: Path) -> None:
    log, ended = RunLog(tmp_path), record()
    log.end(ended)
    away = PipelineSettings(url="http://127.0.0.1:1")
    assert "cannot be reached" in send_runs(log, away)
    settings = PipelineSettings(url=caller.addresses.rest)
    for _ in range(2):
        assert send_runs(log, settings) == ""
    assert [row["id"] for row in caller.get("runs")] == [ended.id]
    assert log.unsent(settings.url) == []
    assert send_runs(log, PipelineSettings()) == ""
