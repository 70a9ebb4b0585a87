"""The packages that were assigned to a node: it is believed only about these.

A node learns of packages from its desired state. What it says of any other package is no evidence,
since it had no traffic for it: one node could otherwise make up what a candidate does.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from gnomon.server.hub.store import schema

#: The newest packages of a node that are remembered; records of older ones may still wait there.
REMEMBERED = 256


def remember(assigned: Sequence[str], digests: Iterable[str]) -> list[str]:
    """Return digests of packages, the newest last, after these were assigned.

    >>> remember(["a", "b"], ["b"]), remember(["a", "b"], ["c", "a"])
    (['a', 'b'], ['b', 'c', 'a'])
    """
    current = list(dict.fromkeys(digests))
    if all(digest in assigned for digest in current):
        return list(assigned)
    return ([digest for digest in assigned if digest not in current] + current)[-REMEMBERED:]


def of_node(connection: Connection, name: str) -> frozenset[str]:
    """Return the digests of the packages that were assigned to a node."""
    node = schema.node.c
    return frozenset(connection.scalar(select(node.assigned).where(node.name == name)) or ())
