"""Labels that wait for a prediction of their request: counted by model, and bounded.

A node samples its predictions, so most labels of a model may wait for ever. A label that names a
request which never was waits as well; the number of those that wait shows it.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from gnomon.server.hub.store.dialect import insert_into
from gnomon.server.hub.store.schema import label, label_total

#: How many labels of a model may wait for a prediction.
MAXIMUM_WAITING = 1_000_000


def count(connection: Connection, model: str) -> int:
    """Return how many labels of a model wait."""
    known = connection.scalar(select(label_total.c.waiting).where(label_total.c.model == model))
    return known or 0


def room(connection: Connection, model: str) -> int:
    """Return how many more labels of a model may wait."""
    return max(0, MAXIMUM_WAITING - count(connection, model))


def add(connection: Connection, model: str, labels: int) -> None:
    """Count labels that wait from now on, in the caller's transaction."""
    if not labels:
        return
    fresh = insert_into(connection, label_total).values(model=model, waiting=labels)
    total = label_total.c.waiting + fresh.excluded.waiting
    connection.execute(
        fresh.on_conflict_do_update(index_elements=[label_total.c.model], set_={"waiting": total})
    )


def match(connection: Connection, model: str, request_ids: Sequence[str]) -> None:
    """Let the labels of these requests wait no longer, in the caller's transaction."""
    matched = connection.execute(
        update(label)
        .where(
            label.c.model == model, label.c.request_id.in_(request_ids), label.c.waiting.is_(True)
        )
        .values(waiting=False)
    ).rowcount
    if matched:
        connection.execute(
            update(label_total)
            .where(label_total.c.model == model)
            .values(waiting=label_total.c.waiting - matched)
        )
