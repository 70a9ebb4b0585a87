"""How far the telemetry of each boot of a node is durable here."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, Executable, select, tuple_

from gnomon.server.hub.ingest.batch import NewRecords
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.dialect import BATCH, insert_into

#: Boots of one node that are looked at in one call.
MAXIMUM_BOOTS = 64

_RECEIPT = schema.receipt.c

#: By dialect; to make one costs more than to execute it.
_STATEMENTS: dict[str, Executable] = {}


def watermarks(
    connection: Connection, boots: Collection[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Return the watermarks of pairs of node and boot; 0 if nothing has come of it."""
    found = dict.fromkeys(boots, 0)
    pairs = list(found)
    for start in range(0, len(pairs), BATCH):
        rows = connection.execute(
            select(_RECEIPT.node, _RECEIPT.boot, _RECEIPT.watermark).where(
                tuple_(_RECEIPT.node, _RECEIPT.boot).in_(pairs[start : start + BATCH])
            )
        )
        found |= {(node, boot): watermark for node, boot, watermark in rows}
    return found


def find_lost(connection: Connection, node: str, acknowledged: Mapping[str, int]) -> dict[str, int]:
    """Return the watermarks here of boots that are below what the node was given.

    Args:
        connection: of an open transaction; it only reads.
        node: the sender.
        acknowledged: the watermark by boot that the node was given; at most `MAXIMUM_BOOTS` of
            them are looked at.
    """
    boots = sorted(acknowledged)[-MAXIMUM_BOOTS:]
    known = watermarks(connection, [(node, boot) for boot in boots])
    return {boot: here for (_, boot), here in known.items() if here < acknowledged[boot]}


def receive(connection: Connection, batches: Sequence[NewRecords]) -> None:
    """Move the watermarks in the transaction that stores the records."""
    if not batches:
        return
    rows = [
        {
            "node": batch.sender.node,
            "boot": batch.sender.boot,
            "watermark": batch.watermark,
            "records": len(batch.entries),
            "refused": len(batch.refused),
            "received_at": batch.sender.received_at,
        }
        for batch in batches
    ]
    name = connection.dialect.name
    if name not in _STATEMENTS:
        _STATEMENTS[name] = _statement(connection)
    connection.execute(_STATEMENTS[name], rows)


def _statement(connection: Connection) -> Executable:
    statement = insert_into(connection, schema.receipt)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["node", "boot"],
        set_={
            "watermark": new.watermark,
            "records": _RECEIPT.records + new.records,
            "refused": _RECEIPT.refused + new.refused,
            "received_at": new.received_at,
        },
    )
