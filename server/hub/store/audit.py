"""The audit chain: append-only, each record's hash covers the record and the hash before it.

So a record that is changed, removed, put in or moved breaks the chain at a place that
`verify_chain` names. Cutting records off at the end is told by the counter that the chain keeps.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from gnomon.server.hub.store import counters, schema
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.text import storable

#: The hash before the first record.
GENESIS = "0" * 64


@dataclass(frozen=True)
class Verdict:
    """What a check of the chain found: its length, and where and how it is broken, if it is."""

    intact: bool
    records: int
    broken_at: int | None = None
    reason: str = ""


_COVERED = ("sequence", "at", "actor", "action", "subject", "detail", "previous")


def _hash(record: Mapping[str, Any]) -> str:
    covered = [record[key] for key in _COVERED]
    return hashlib.sha256(json.dumps(covered, ensure_ascii=False).encode()).hexdigest()


def append(
    connection: Connection, actor: str, action: str, subject: str, detail: Mapping[str, Any]
) -> None:
    """Append one record, in the transaction of what it records."""
    sequence = counters.advance(connection, counters.AUDIT)
    previous = connection.scalar(
        select(schema.audit.c.hash).where(schema.audit.c.sequence == sequence - 1)
    )
    record: dict[str, Any] = {
        "sequence": sequence,
        "at": now_ms(),
        "actor": storable(actor),
        "action": action,
        "subject": storable(subject),
        "detail": storable(json.dumps(detail, sort_keys=True, ensure_ascii=False)),
        "previous": previous or GENESIS,
    }
    connection.execute(insert(schema.audit).values(**record, hash=_hash(record)))


def verify_chain(connection: Connection) -> Verdict:
    """Check every record of the chain, and that none is missing at its end."""
    previous, expected = GENESIS, 1
    rows = connection.execution_options(yield_per=1_000).execute(
        select(schema.audit).order_by(schema.audit.c.sequence)
    )
    for row in rows.mappings():
        sequence = row["sequence"]
        if sequence != expected:
            return Verdict(False, expected - 1, expected, f"record {expected} is missing")
        if row["previous"] != previous:
            return Verdict(False, expected - 1, sequence, "does not follow the record before it")
        if row["hash"] != _hash(dict(row)):
            return Verdict(False, expected - 1, sequence, "was changed after it was written")
        previous, expected = row["hash"], expected + 1
    counted = connection.scalar(
        select(schema.counter.c.value).where(schema.counter.c.name == counters.AUDIT)
    )
    if counted != expected - 1:
        return Verdict(False, expected - 1, expected, f"{counted} records were written")
    return Verdict(True, expected - 1)


def listing(connection: Connection, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Return records as JSON, newest first, those below `before` if it is given."""
    wanted = select(schema.audit).order_by(schema.audit.c.sequence.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(schema.audit.c.sequence < before)
    rows = connection.execute(wanted).mappings()
    return [{**row, "detail": json.loads(row["detail"])} for row in rows]
