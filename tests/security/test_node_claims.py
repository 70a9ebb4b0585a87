"""A node is believed only about packages assigned to it, and about its own requests."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import UnknownModel
from gnomon.server.hub.access import assigned
from gnomon.server.hub.ingest.records import REFUSED_RECORD
from gnomon.server.hub.ingest.telemetry import Telemetry
from gnomon.server.hub.monitoring import labels, losses, monitor, waiting
from gnomon.server.hub.monitoring.intervals import MonitorSettings
from gnomon.server.hub.monitoring.label_sources import LabelSource
from gnomon.server.hub.monitoring.labels import LabelRow
from gnomon.server.hub.monitoring.predictions import PredictionRow, record_predictions
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.versions.catalogue import Catalogue
from tests.support.hub_world import DAY, World, profile

ONNX = {"engines": "onnx"}
ADA = LabelSource("ada", is_node=False)
PREDICTOR, OTHER = (LabelSource(name, is_node=True) for name in ("n1", "n2"))


@pytest.fixture
def eta(world: World) -> str:
    return world.publish("eta", "1")


def window_of(digest: str, route: str = "eta", rows: int = 0) -> hub_pb2.Record:
    window = hub_pb2.Window(
        digest=digest,
        route=route,
        rows=rows,
        started_at_unix_ms=0,
        ended_at_unix_ms=DAY,
        window=profile().new_window().to_bytes(),
    )
    return hub_pb2.Record(sequence=1, window=window)


def predictions_of(digest: str) -> hub_pb2.Record:
    sampled = hub_pb2.Predictions(digest=digest, request_ids=["r1"], at_unix_ms=[1], values=[1.0])
    return hub_pb2.Record(sequence=1, predictions=sampled)


def upload(database: Database, node: str, record: hub_pb2.Record) -> list[str]:
    """Send a record; return why records of the node were refused so far."""
    telemetry = Telemetry(database, Catalogue())
    assert telemetry.upload(node, "b", [record.SerializeToString()]) == 1
    event = schema.event.c
    with database.read() as connection:
        wanted = select(event.detail).where(event.kind == REFUSED_RECORD, event.node == node)
        return list(connection.scalars(wanted))


def test_windows_of_a_package_that_the_node_was_not_assigned_are_no_evidence(
    world: World, database: Database, eta: str
) -> None:
    """They are counted, as unread, but neither the monitor nor a gate sees them."""
    world.place("eta", "1")
    world.node("n1", assigned=[eta])
    world.node("n2")
    for node in ("n1", "n2"):
        assert upload(database, node, window_of(eta)) == []
    with database.read() as connection:
        rows = connection.execute(select(schema.window)).mappings()
        versions = {row["node"]: row["version"] for row in rows}
    assert versions == {"n1": "1", "n2": ""}
    monitor.run_once(database, MonitorSettings(grace_ms=0))
    with database.read() as connection:
        state = connection.execute(select(schema.detector_state)).one()
    assert b"n1" in state.state and b"n2" not in state.state


def test_predictions_of_a_package_that_the_node_was_not_assigned_are_refused(
    world: World, database: Database, eta: str
) -> None:
    world.node("n1", assigned=[eta])
    assert upload(database, "n1", predictions_of(eta)) == []
    (reason,) = upload(database, "n2", predictions_of(eta))
    assert "not assigned to the node" in reason
    with database.read() as connection:
        assert list(connection.scalars(select(schema.prediction.c.node))) == ["n1"]


@pytest.mark.parametrize("kind", ["window", "label"])
def test_what_names_an_unknown_model_is_refused(
    world: World, database: Database, eta: str, kind: str
) -> None:
    label = hub_pb2.Label(model="rentx", request_id="r1", value=1.0)
    record = (
        window_of("d" * 64, "rentx", 12)
        if kind == "window"
        else hub_pb2.Record(sequence=1, label=label)
    )
    (reason,) = upload(database, "n1", record)
    assert "there is no model 'rentx' in the registry" in reason


def test_a_node_gets_its_packages_from_its_exchanges(
    builder: Any, node: Any, caller: Any, make: Any
) -> None:
    """Through the real ports: before the exchange unread, afterwards believed."""
    package = make()
    builder.publish(package)
    caller.post("placements", model="eta", version="1")
    window = package.profile.new_window()
    one = hub_pb2.Window(digest=package.digest, route="eta", window=window.to_bytes())
    node.upload(hub_pb2.Record(sequence=1, window=one))
    node.exchange(facts=ONNX)
    predictions = hub_pb2.Predictions(
        digest=package.digest, request_ids=["r1"], at_unix_ms=[1], values=[1.0]
    )
    node.upload(hub_pb2.Record(sequence=2, predictions=predictions))
    assert caller.get("events") == []
    for model, status in (("eta", 201), ("etax", 404)):
        label = {"request_id": "r1", "at": 1, "value": 1.0}
        body = {"model": model, "labels": [label, {**label, "request_id": "typo"}]}
        answer = caller.http.post("/api/v1/labels", json=body)
        assert answer.status_code == status
        if status == httpx.codes.CREATED:
            assert (answer.json()["new"], answer.json()["waiting"]) == (2, 1)
    assert caller.get("models/eta/drift")["status"]["waiting_labels"] == 1


def test_a_node_forgets_no_package_whose_records_may_still_wait() -> None:
    packages: list[str] = []
    for generation in range(3 * assigned.REMEMBERED):
        packages = assigned.remember(packages, ["champion", f"candidate-{generation}"])
    assert len(packages) == assigned.REMEMBERED
    assert "champion" in packages and packages[-1] == "candidate-767"


def ingest(
    database: Database, source: LabelSource, value: float, request: str = "r1"
) -> labels.IngestResult:
    with database.write() as connection:
        return labels.ingest(connection, [LabelRow("eta", request, 1, value)], source)


def predict(database: Database, digest: str, value: float = 0.0, request: str = "r1") -> None:
    with database.write() as connection:
        rows = [PredictionRow(request, 1, value)]
        record_predictions(connection, "n1", "eta", digest, rows)


def error_of(database: Database) -> losses.Losses:
    with database.read() as connection:
        return losses.by_version(connection, schema.loss.c.model == "eta")["1"]


@pytest.mark.slow
@pytest.mark.parametrize("first", ["label", "prediction"])
@pytest.mark.parametrize(
    ("one", "other", "corrects"),
    [
        (OTHER, PREDICTOR, True),
        (PREDICTOR, OTHER, False),
        (OTHER, ADA, True),
        (PREDICTOR, ADA, True),
        (ADA, PREDICTOR, False),
        (ADA, OTHER, False),
        (PREDICTOR, PREDICTOR, True),
        (OTHER, OTHER, True),
        (OTHER, LabelSource("n3", is_node=True), False),
        (ADA, LabelSource("eve", is_node=False), True),
    ],
    ids=lambda one: one.name if isinstance(one, LabelSource) else str(one),
)
def test_the_first_label_stays_only_against_lower_precedence(
    database: Database,
    eta: str,
    first: str,
    one: LabelSource,
    other: LabelSource,
    corrects: bool,
) -> None:
    """And the error is that of the label which holds, whenever the prediction comes."""
    if first == "prediction":
        predict(database, eta)
    ingest(database, one, 100.0)
    if first == "label":
        predict(database, eta)
    found = ingest(database, other, 3.0)
    assert (found.corrected, found.contradicting) == ((1, ()) if corrects else (0, ("r1",)))
    error = 3.0 if corrects else 100.0
    assert error_of(database) == losses.Losses(1, -error, error, error * error)


def test_a_confirmed_label_is_of_whoever_is_believed_most(database: Database, eta: str) -> None:
    predict(database, eta)
    ingest(database, PREDICTOR, 3.0)
    assert ingest(database, ADA, 3.0).repeated == 1
    assert ingest(database, PREDICTOR, 9.0).contradicting == ("r1",)


@pytest.mark.parametrize("huge", [1e6, 1e30, 1e100])
def test_a_huge_label_that_is_corrected_leaves_the_exact_error(
    database: Database, eta: str, huge: float
) -> None:
    for number in range(5):
        predict(database, eta, 1.0, f"a{number}")
        ingest(database, OTHER, 0.5, f"a{number}")
    predict(database, eta)
    ingest(database, OTHER, huge)
    ingest(database, ADA, 2.0)
    assert error_of(database) == losses.Losses(6, 0.5, 4.5, 5.25)


def test_labels_of_unknown_requests_wait_counted_and_bounded(
    database: Database, eta: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MAXIMUM_WAITING", 3)
    with database.write() as connection:
        rows = [LabelRow("eta", f"r{number}", 1, 2.0) for number in range(5)]
        found = labels.ingest(connection, rows, ADA)
    assert (found.new, found.waiting, found.refused) == (3, 3, 2)
    predict(database, eta, request="r1")  # its label waits no longer, and counts
    assert error_of(database).count == 1
    with database.read() as connection:
        assert waiting.count(connection, "eta") == 2
    assert ingest(database, ADA, 1.0, "r7").waiting == 1
    assert ingest(database, ADA, 1.0, "r8").refused == 1
    predict(database, eta, request="r9")
    assert ingest(database, ADA, 1.0, "r9").new == 1  # of a known request: always taken


def test_labels_of_an_unknown_model_are_refused_whole(database: Database, eta: str) -> None:
    rows = [LabelRow("eta", "r1", 1, 2.0), LabelRow("rentx", "r1", 1, 2.0)]
    with pytest.raises(UnknownModel, match="'rentx'"), database.write() as connection:
        labels.ingest(connection, rows, ADA)
    with database.read() as connection:
        assert connection.execute(select(schema.label)).all() == []
