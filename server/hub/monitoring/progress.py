"""The monitor's progress with a model, stored between two runs."""

import msgspec
from sqlalchemy import Connection, select

from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.dialect import insert_into

#: An interval of the data's own time: its end and its start, Unix milliseconds; so they sort.
Interval = tuple[int, int]

_KEY = "fleet"
_STATE = schema.detector_state.c


class SourceClock(msgspec.Struct, frozen=True, array_like=True):
    """When a node's last window started and when it arrived, Unix milliseconds."""

    latest_start: int
    received_at: int


class MonitorProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The monitor's position in one model's windows, and its detectors' state there."""

    judged: Interval | None = None  # the last interval that the detectors have seen
    cursor: int = 0  # `position` of the last window that was looked at
    late_windows: int = 0  # arrived after their interval had been evaluated
    late_rows: int = 0
    sources: dict[str, SourceClock] = {}
    references: str = ""  # fingerprint of what the detectors compare with
    version: str = ""  # whose references they are
    detectors: bytes = b""


def load(connection: Connection, model: str) -> tuple[MonitorProgress, bytes]:
    """Return the progress with a model, and the bytes by which to tell whether it has moved."""
    data = read_state(connection, model, _KEY)
    return (msgspec.msgpack.decode(data, type=MonitorProgress) if data else MonitorProgress()), data


def save(connection: Connection, model: str, progress: MonitorProgress) -> None:
    """Write the progress, in the transaction of what it stands for."""
    write_state(connection, model, _KEY, msgspec.msgpack.encode(progress), progress.cursor)


def read_state(connection: Connection, model: str, key: str) -> bytes:
    """Return what was written under a key; empty bytes if nothing was."""
    data = connection.scalar(select(_STATE.state).where(_STATE.model == model, _STATE.key == key))
    return data or b""


def write_state(connection: Connection, model: str, key: str, state: bytes, position: int) -> None:
    """Replace what is written under a key.

    Args:
        connection: of the caller's transaction.
        model: the model's name.
        key: names what the state belongs to, such as a detector.
        state: opaque bytes; the former ones are replaced.
        position: of the last interval that the state includes.
    """
    fresh = insert_into(connection, schema.detector_state).values(
        model=model, key=key, state=state, position=position, updated_at=now_ms()
    )
    replaced = {name: fresh.excluded[name] for name in ("state", "position", "updated_at")}
    connection.execute(
        fresh.on_conflict_do_update(index_elements=[_STATE.model, _STATE.key], set_=replaced)
    )
