"""Which version of a model is in service in an environment; every such query is here.

A placement is history: a row for each time that a version was in service, with no end while it is.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from gnomon.runtime.errors import NotFound
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import new_id, now_ms

_PLACEMENT = schema.placement.c

#: The condition on the table `placement` that picks what is in service now.
IS_CURRENT = _PLACEMENT.ended_at.is_(None)


@dataclass(frozen=True, slots=True)
class Placement:
    """A version that is, or was, in service in an environment; times are Unix milliseconds."""

    id: str
    model: str
    version: str
    environment: str
    started_at: int
    ended_at: int | None  # None while it is in service
    actor: str


def in_service(connection: Connection, model: str, environment: str) -> Placement | None:
    """Return what is in service of a model in an environment, if anything is."""
    row = (
        connection.execute(
            select(schema.placement).where(
                _PLACEMENT.model == model, _PLACEMENT.environment == environment, IS_CURRENT
            )
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else Placement(**row)


def version_in_service(connection: Connection, model: str, environment: str) -> str | None:
    """Return the version in service of a model in an environment, if there is one."""
    found = in_service(connection, model, environment)
    return None if found is None else found.version


def of_environment(connection: Connection, environment: str) -> dict[str, str]:
    """Return the version in service of each model of an environment, models in order."""
    rows = connection.execute(
        select(_PLACEMENT.model, _PLACEMENT.version)
        .where(IS_CURRENT, _PLACEMENT.environment == environment)
        .order_by(_PLACEMENT.model)
    )
    return {row.model: row.version for row in rows}


def of_all_models(connection: Connection) -> dict[str, dict[str, str]]:
    """Return the version in service of each model by environment."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for row in connection.execute(
        select(_PLACEMENT.model, _PLACEMENT.environment, _PLACEMENT.version).where(IS_CURRENT)
    ):
        found[row.model][row.environment] = row.version
    return found


def environments_of(connection: Connection, model: str, version: str) -> set[str]:
    """Return the environments in which a version is in service."""
    return set(
        connection.scalars(
            select(_PLACEMENT.environment).where(
                _PLACEMENT.model == model, _PLACEMENT.version == version, IS_CURRENT
            )
        )
    )


def count_models(connection: Connection) -> Counter[str]:
    """Return how many models have a version in service, by environment."""
    rows = connection.execute(
        select(_PLACEMENT.environment, func.count())
        .where(IS_CURRENT)
        .group_by(_PLACEMENT.environment)
    )
    return Counter({row[0]: row[1] for row in rows})


def listing(
    connection: Connection, model: str | None, environment: str | None = None
) -> list[Placement]:
    """Return what is and was in service, newest first."""
    wanted = select(schema.placement).order_by(_PLACEMENT.started_at.desc())
    if model is not None:
        wanted = wanted.where(_PLACEMENT.model == model)
    if environment is not None:
        wanted = wanted.where(_PLACEMENT.environment == environment)
    return [Placement(**row) for row in connection.execute(wanted).mappings()]


def put_in_service(change: Change, model: str, version: str, environment: str) -> bool:
    """Put a version in service in place of another, without any check; return if that is new.

    Args:
        change: the caller's open transaction; its audit record is part of it.
        model: the model's name.
        version: the version's name.
        environment: on whose nodes.
    """
    now = now_ms()
    current = in_service(change.connection, model, environment)
    if current is not None and current.version == version:
        return False
    if current is not None:
        change.execute(
            update(schema.placement).where(_PLACEMENT.id == current.id).values(ended_at=now)
        )
    change.execute(
        insert(schema.placement).values(
            id=new_id(),
            model=model,
            version=version,
            environment=environment,
            started_at=now,
            actor=change.actor,
        )
    )
    previous = current.version if current is not None else None
    detail = {"previous": previous, "environment": environment}
    change.audit("place", f"{model}@{version}", detail, model=model, environment=environment)
    return True


def end_service(change: Change, model: str, environment: str, reason: str) -> str:
    """Take a model out of service on all nodes of an environment; return the version that was.

    Args:
        change: the caller's open transaction; its audit record is part of it.
        model: the model's name.
        environment: on whose nodes.
        reason: for people who look at it later.

    Raises:
        NotFound: if no version of it is in service there.
    """
    change.check("retire", model, environment)
    current = in_service(change.connection, model, environment)
    if current is None:
        raise NotFound(f"no version of {model} is in service in {environment}", kind="placement")
    change.execute(
        update(schema.placement).where(_PLACEMENT.id == current.id).values(ended_at=now_ms())
    )
    reference = f"{model}@{current.version}"
    detail = {"environment": environment, "reason": reason}
    change.audit("retire", reference, detail, model=model, environment=environment)
    return current.version
