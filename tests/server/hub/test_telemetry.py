"""However uploads are cut, repeated and damaged, each record has its effect exactly once."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import InvalidInput
from gnomon.server.hub.fleet import numbering
from gnomon.server.hub.fleet.telemetry import REFUSED_RECORD, Telemetry
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.versions.catalogue import Catalogue

RECORDS = 30


def good(sequence: int) -> bytes:
    event = hub_pb2.Event(kind="started", detail=str(sequence))
    return hub_pb2.Record(sequence=sequence, event=event).SerializeToString()


def damaged(sequence: int) -> bytes:
    return b"\xff" + str(sequence).encode()


cuts = st.lists(
    st.tuples(st.integers(1, 8), st.booleans()).map(lambda cut: (cut[0], cut[1])), max_size=40
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=cuts, bad=st.sets(st.integers(1, RECORDS)))
def test_each_record_counts_once(
    first_start: Path, cuts: list[tuple[int, bool]], bad: set[int]
) -> None:
    """A node sends what is not acknowledged, in pieces of any size; answers may get lost."""
    queue = [damaged(n) if n in bad else good(n) for n in range(1, RECORDS + 1)]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(first_start, Path(folder) / "hub")
        database = Database.in_folder(Path(folder) / "hub")
        telemetry = Telemetry(database, Catalogue())
        acknowledged = 0
        for size, is_lost in [*cuts, (RECORDS, False), (RECORDS, False)]:
            piece = queue[acknowledged : acknowledged + size]
            watermark = telemetry.upload("n", "b", piece) if piece else acknowledged
            if not is_lost:
                acknowledged = watermark
        assert acknowledged == RECORDS
        with database.read() as connection:
            events = connection.execute(
                select(
                    schema.event.c.sequence, schema.event.c.kind, schema.event.c.detail
                ).order_by(schema.event.c.sequence)
            ).all()
            (receipt,) = connection.execute(select(schema.receipt)).all()
        database.close()
    assert [event.sequence for event in events] == list(range(1, RECORDS + 1))
    for event in events:
        expected = REFUSED_RECORD if event.sequence in bad else "started"
        assert event.kind == expected
        assert expected == REFUSED_RECORD or event.detail == str(event.sequence)
    assert (receipt.records, receipt.refused) == (RECORDS, len(bad))


def test_a_damaged_record_has_the_number_of_its_place() -> None:
    numbered = numbering.number([damaged(1), good(7), damaged(2), damaged(3), good(12)])
    assert numbered is not None
    assert [one.sequence for one in numbered] == [6, 7, 8, 9, 12]
    assert [one.record is None for one in numbered] == [True, False, True, True, False]


def test_a_record_without_a_number_is_damaged() -> None:
    assert numbering.decode(b"") is None
    assert numbering.decode(good(0)) is None


def test_numbers_beyond_all_bounds_are_refused() -> None:
    with pytest.raises(InvalidInput, match="in order"):
        numbering.number([good(2**64 - 1)])
    with pytest.raises(InvalidInput, match="in order"):
        numbering.number([good(3), good(3)])
