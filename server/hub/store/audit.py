"""The audit chain: append-only, each record's hash covers the record and the hash before it.

A record that is changed, removed, inserted or moved breaks the chain at a record that
`verify_chain` names. Records removed from the end are detected by the chain's counter.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from gnomon.runtime import audit_chain
from gnomon.runtime.audit_chain import ChainHead, ChainVerdict
from gnomon.server.hub.store import counters, schema
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.text import storable

#: Set in the info of a connection whose transaction appends to the chain.
AUDITED = "gnomon_audited"


def append(
    connection: Connection, actor: str, action: str, subject: str, detail: Mapping[str, Any]
) -> None:
    """Append one record, in the transaction of what it records.

    Args:
        connection: of the caller's transaction.
        actor: who did it.
        action: a name in the table of rights.
        subject: what it was done to.
        detail: more of it; anything JSON can hold.
    """
    connection.info[AUDITED] = True
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
        "previous": previous or audit_chain.GENESIS,
    }
    connection.execute(insert(schema.audit).values(**record, hash=audit_chain.hash_of(record)))


def verify_chain(connection: Connection, noted: str | None = None) -> ChainVerdict:
    """Check every record of the chain, that none is missing at its end, and one noted before."""
    counted = counters.read(connection, counters.AUDIT)
    return audit_chain.verify(_records(connection), counted, noted)


def head(connection: Connection) -> ChainHead:
    """Return the head of the chain."""
    sequence = counters.read(connection, counters.AUDIT)
    found = hash_at(connection, sequence)
    return ChainHead(counters.read(connection, counters.EPOCH), sequence, found)


def hash_at(connection: Connection, sequence: int) -> str:
    """Return the hash of a record, empty if it is missing; number 0 is before the first."""
    if sequence == 0:
        return audit_chain.GENESIS
    column = schema.audit.c.hash
    return connection.scalar(select(column).where(schema.audit.c.sequence == sequence)) or ""


def export(connection: Connection) -> Iterator[str]:
    """Yield the lines of an export of the whole chain, as `gnomon.runtime.audit_chain` reads it."""
    last = connection.scalar(
        select(schema.audit.c.hash).order_by(schema.audit.c.sequence.desc()).limit(1)
    )
    records = counters.read(connection, counters.AUDIT)
    yield audit_chain.head_line(records, last or audit_chain.GENESIS) + "\n"
    for record in _records(connection):
        yield audit_chain.record_line(record) + "\n"


def _records(connection: Connection) -> Iterator[Mapping[str, Any]]:
    rows = connection.execution_options(yield_per=1_000).execute(
        select(schema.audit).order_by(schema.audit.c.sequence)
    )
    for row in rows:
        yield row._asdict()


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who did what, with the hash that chains it to the record before; `at` is in Unix ms."""

    sequence: int
    at: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    previous: str
    hash: str


def listing(connection: Connection, before: int | None, limit: int) -> list[AuditRecord]:
    """Return records, newest first, those below `before` if it is given."""
    wanted = select(schema.audit).order_by(schema.audit.c.sequence.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(schema.audit.c.sequence < before)
    rows = connection.execute(wanted).mappings()
    return [AuditRecord(**{**row, "detail": json.loads(row["detail"])}) for row in rows]
