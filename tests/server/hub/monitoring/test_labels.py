"""Labels and predictions meet by request, whichever comes first, and each pair counts once."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select

from gnomon.runtime.errors import InvalidInput
from gnomon.server.hub.monitoring import labels, losses
from gnomon.server.hub.monitoring.label_sources import LabelSource
from gnomon.server.hub.monitoring.labels import LabelRow
from gnomon.server.hub.monitoring.predictions import PredictionRow, record_predictions
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.schema import label, loss, prediction, version

DAY = 86_400_000
DIGEST = "d" * 64
OTHER = "e" * 64
ADA = LabelSource("ada", is_node=False)


@pytest.fixture(autouse=True)
def packages(database: Database) -> None:
    with database.write() as connection:
        for digest, name in ((DIGEST, "1"), (OTHER, "2")):
            connection.execute(
                insert(version).values(
                    digest=digest,
                    name="eta",
                    version=name,
                    format="onnx",
                    manifest={},
                    envelopes=[],
                    profile=b"",
                    published_at=1,
                    publisher="ada",
                )
            )


def predict(
    database: Database, *rows: PredictionRow, node: str = "n1", digest: str = DIGEST
) -> None:
    with database.write() as connection:
        record_predictions(connection, node, "eta", digest, rows)


def tell(database: Database, *rows: LabelRow, source: LabelSource = ADA) -> labels.IngestResult:
    with database.write() as connection:
        return labels.ingest(connection, rows, source)


def numbers(result: labels.IngestResult) -> tuple[int, int, int, tuple[str, ...]]:
    return result.new, result.repeated, result.corrected, result.contradicting


def days(database: Database) -> dict[str, dict[int, losses.Losses]]:
    with database.read() as connection:
        return losses.by_day(connection, "eta")


def test_a_label_after_its_prediction_counts_once(database: Database) -> None:
    predict(database, PredictionRow("r1", DAY + 5, 12.0))
    assert numbers(tell(database, LabelRow("eta", "r1", DAY * 3, 10.0))) == (1, 0, 0, ())
    assert numbers(tell(database, LabelRow("eta", "r1", DAY * 4, 10.0))) == (0, 1, 0, ())
    assert days(database) == {"1": {DAY: losses.Losses(1, 2.0, 2.0, 4.0)}}


@pytest.mark.both_databases
def test_a_label_before_its_prediction_counts_once(database: Database) -> None:
    tell(database, LabelRow("eta", "r1", 7, 10.0))
    predict(database, PredictionRow("r1", DAY + 5, 7.0), digest=OTHER)
    assert days(database) == {"2": {DAY: losses.Losses(1, -3.0, 3.0, 9.0)}}


def test_one_label_serves_every_version_that_answered_the_request(database: Database) -> None:
    predict(database, PredictionRow("r1", 5, 7.0))
    predict(database, PredictionRow("r1", 5, 9.0), digest=OTHER)
    tell(database, LabelRow("eta", "r1", 7, 10.0))
    assert {name: one[0].error for name, one in days(database).items()} == {"1": -3.0, "2": -1.0}


def test_a_contradicting_label_is_reported_and_changes_nothing(database: Database) -> None:
    predict(database, PredictionRow("r1", 5, 7.0))
    tell(database, LabelRow("eta", "r1", 7, 10.0))
    rows = LabelRow("eta", "r1", 8, 11.0), LabelRow("eta", "r2", 8, 1.0)
    told = tell(database, *rows, source=LabelSource("n1", is_node=True))
    assert numbers(told) == (1, 0, 0, ("r1",))
    assert days(database)["1"][0] == losses.Losses(1, -3.0, 3.0, 9.0)


def test_a_label_within_one_batch_twice_counts_once(database: Database) -> None:
    row = LabelRow("eta", "r1", 7, 10.0)
    assert numbers(tell(database, row, row, row._replace(value=3.0))) == (1, 1, 1, ())
    assert numbers(tell(database, row._replace(value=3.0))) == (0, 1, 0, ())


def test_labels_of_other_models_do_not_meet(database: Database) -> None:
    predict(database, PredictionRow("r1", 5, 7.0))
    with database.write() as connection:
        known = select(version).where(version.c.digest == DIGEST)
        (row,) = connection.execute(known).mappings()
        connection.execute(insert(version).values({**row, "digest": "f" * 64, "name": "fare"}))
    tell(database, LabelRow("fare", "r1", 7, 10.0))
    assert days(database) == {}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_label_that_is_no_number_is_refused_whole(database: Database, value: float) -> None:
    with pytest.raises(InvalidInput, match=r"'r2' of model 'eta'.*finite"):
        tell(database, LabelRow("eta", "r1", 7, 1.0), LabelRow("eta", "r2", 7, value))
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(label)) == 0


def test_a_prediction_that_is_no_number_is_left_out(database: Database) -> None:
    predict(database, PredictionRow("r1", 5, math.nan), PredictionRow("r2", 5, 1.0))
    tell(database, LabelRow("eta", "r1", 7, 10.0), LabelRow("eta", "r2", 7, 1.0))
    assert days(database)["1"][0].count == 1


@pytest.mark.both_databases
def test_a_killed_transaction_counts_nothing(database: Database) -> None:
    predict(database, PredictionRow("r1", 5, 7.0))
    with pytest.raises(KeyboardInterrupt), database.write() as connection:
        labels.ingest(connection, [LabelRow("eta", "r1", 7, 10.0)], ADA)
        raise KeyboardInterrupt
    assert days(database) == {}
    tell(database, LabelRow("eta", "r1", 7, 10.0))
    assert days(database)["1"][0].count == 1


@pytest.mark.both_databases
def test_more_than_one_statement_can_name(database: Database) -> None:
    size = 1_203
    predict(database, *(PredictionRow(f"r{i}", i * DAY // 400, float(i)) for i in range(size)))
    told = tell(database, *(LabelRow("eta", f"r{i}", 0, 0.0) for i in range(size)))
    assert told.new == size
    by_day = days(database)["1"]
    assert sum(one.count for one in by_day.values()) == size
    assert sum(one.error for one in by_day.values()) == sum(range(size))
    assert list(by_day) == sorted(by_day) and len(by_day) == 4


_STEPS = st.lists(
    st.tuples(st.sampled_from(["predict", "label"]), st.integers(0, 7), st.integers(0, 3)),
    max_size=25,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(_STEPS)
def test_any_order_counts_what_a_naive_join_counts(
    database: Database, steps: list[tuple[str, int, int]]
) -> None:
    with database.write() as connection:
        for table in (label, prediction, loss):
            connection.execute(table.delete())
    truth: dict[str, float] = {}
    predicted: list[tuple[str, float]] = []
    for kind, request, value in steps:
        name = f"r{request}"
        if kind == "label":
            truth[name] = float(value)  # a later one corrects
            tell(database, LabelRow("eta", name, 0, float(value)))
        else:
            predicted.append((name, float(value)))
            predict(database, PredictionRow(name, 0, float(value)))
    # Integers, so that sums are exact in any order.
    errors = [value - truth[name] for name, value in predicted if name in truth]
    found = days(database).get("1", {}).get(0, losses.Losses())
    assert found == losses.Losses(
        len(errors),
        sum(errors),
        sum(abs(one) for one in errors),
        sum(one * one for one in errors),
    )


@pytest.mark.parametrize(
    "row",
    [
        LabelRow("eta", "r2", 7, 1e101),
        LabelRow("eta", "r2", 7, -1.7976931348623157e308),
        LabelRow("eta", "r2", 10**15 + 1, 1.0),
        LabelRow("eta", "r2", -(2**63), 1.0),
        LabelRow("eta", "r2", 2**63, 1.0),
    ],
)
def test_a_label_out_of_bounds_is_refused_whole(database: Database, row: LabelRow) -> None:
    with pytest.raises(InvalidInput, match=r"'r2' of model 'eta'.*at most 1e\+"):
        tell(database, LabelRow("eta", "r1", 7, 1.0), row)
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(label)) == 0


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    value=st.floats(allow_nan=False, allow_infinity=False),
    truth=st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_pair_that_was_stored_without_bounds_leaves_sums_finite(
    database: Database, value: float, truth: float
) -> None:
    """Labels of a hub without bounds are still there."""
    with database.write() as connection:
        for table in (label, prediction, loss):
            connection.execute(table.delete())
        row = {"model": "eta", "at": 1, "value": truth, "received_at": 1}
        connection.execute(insert(label).values(request_id="r1", **row))
        connection.execute(
            insert(prediction).values(
                request_id="r1", node="n1", digest=DIGEST, model="eta", at=1, value=value
            )
        )
        counted = losses.join(connection, "eta", ["r1"])
        assert losses.join(connection, "eta", ["r1"]) == 0
    sums = [one for by_day in days(database).values() for one in by_day.values()]
    assert len(sums) == counted
    for one in sums:
        assert all(map(math.isfinite, (one.error, one.absolute_error, one.squared_error)))
