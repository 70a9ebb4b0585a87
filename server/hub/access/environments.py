"""Environments: places in which versions are rolled out, each with its own nodes and history.

A hub begins with development, test, staging and production; people add their own. A node belongs to
the environment that its enrolment token named, until somebody moves it. Drift and errors of models
are watched in production.
"""

import re
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from gnomon.runtime.errors import Conflict, InvalidInput, NotFound
from gnomon.runtime.packages.manifest import NAME_PATTERN
from gnomon.server.hub import placements
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.schema import PRODUCTION

__all__ = ["PRODUCTION", "add", "check", "listing", "move", "of_node"]

_ENVIRONMENT = schema.environment.c
_NODE = schema.node.c


def check(connection: Connection, name: str) -> str:
    """Return the name of an environment unchanged.

    Raises:
        NotFound: if there is no such environment; it names those that there are.
    """
    known = connection.scalars(select(_ENVIRONMENT.name).order_by(_ENVIRONMENT.position)).all()
    if name not in known:
        raise NotFound(
            f"there is no environment {name[:80]!r}; there are {', '.join(known)}",
            kind="environment",
        )
    return name


def of_node(connection: Connection, node: str) -> str:
    """Return a node's environment; production if no node of that name is enrolled."""
    return (
        connection.scalar(select(_NODE.environment).where(_NODE.name == node).limit(1))
        or PRODUCTION
    )


@dataclass(frozen=True, slots=True)
class EnvironmentRecord:
    """An environment with how many nodes and models in service it has.

    `exempt_tiers` are the risk tiers that need no approval there; None: no tier needs one.
    """

    name: str
    nodes: int
    models: int
    exempt_tiers: list[str] | None


def listing(connection: Connection) -> list[EnvironmentRecord]:
    """Return all environments in their order, each with how many nodes and models it has."""
    nodes = _count_nodes(connection)
    models = placements.count_models(connection)
    rows = connection.execute(
        select(_ENVIRONMENT.name, _ENVIRONMENT.exempt_tiers).order_by(_ENVIRONMENT.position)
    )
    return [
        EnvironmentRecord(
            name=row.name,
            nodes=nodes[row.name],
            models=models[row.name],
            exempt_tiers=row.exempt_tiers,
        )
        for row in rows
    ]


def _count_nodes(connection: Connection) -> Counter[str]:
    rows = connection.execute(
        select(_NODE.environment, func.count())
        .where(_NODE.role == "node", _NODE.revoked_at.is_(None))
        .group_by(_NODE.environment)
    )
    return Counter({row[0]: row[1] for row in rows})


def add(change: Change, name: str) -> None:
    """Add an environment of a person's own, shown before production, in the caller's change.

    Raises:
        InvalidInput: if the name is not plain.
        Conflict: if there is one of this name.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise InvalidInput(f"environment {name[:80]!r} should match {NAME_PATTERN}")
    last = change.connection.execute(
        select(_ENVIRONMENT.position).where(_ENVIRONMENT.name == PRODUCTION)
    ).scalar_one()
    if change.connection.scalar(select(_ENVIRONMENT.name).where(_ENVIRONMENT.name == name)):
        raise Conflict(f"there is an environment {name!r} already")
    change.execute(
        update(schema.environment)
        .where(_ENVIRONMENT.position >= last)
        .values(position=_ENVIRONMENT.position + 1)
    )
    change.execute(insert(schema.environment).values(name=name, position=last, created_at=now_ms()))
    change.audit("add_environment", name)


def move(change: Change, node: str, environment: str) -> str:
    """Move a node to an environment, in the caller's change; return the one that it was in.

    Raises:
        NotFound: if there is no such node or environment.
    """
    check(change.connection, environment)
    previous: str | None = change.connection.scalar(
        select(_NODE.environment).where(_NODE.name == node, _NODE.role == "node")
    )
    if previous is None:
        raise NotFound(f"no node named {node[:80]!r} is enrolled", kind="node")
    if previous != environment:
        change.execute(
            update(schema.node).where(_NODE.name == node).values(environment=environment)
        )
        change.check("move_node", environment=previous)
        detail = {"environment": environment, "previous": previous}
        change.audit("move_node", node, detail, environment=environment)
    return previous
