"""Decommission: a version that is not to be rolled out any more.

It stays readable with all its history, and its packages stay, so that its predictions can be
replayed. It is refused while something runs the version, unless forced with a reason.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, or_, select

from gnomon.runtime.errors import Conflict, InvalidInput
from gnomon.server.hub import placements
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.rollout_state import ACTIVE
from gnomon.server.hub.versions.aliases import check_version

_DECOMMISSION = schema.decommission.c


def check_in_use(connection: Connection, model: str, version: str) -> None:
    """Check that a version was not decommissioned.

    Raises:
        Conflict: if it was; it says when, by whom, and why.
    """
    row = find(connection, model, version)
    if row is not None:
        because = f" ({row.reason})" if row.reason else ""
        raise Conflict(f"{model}@{version} was decommissioned by {row.actor}{because}")


@dataclass(frozen=True, slots=True)
class Decommission:
    """When, by whom and why a version was decommissioned. The time is in Unix milliseconds."""

    model: str
    version: str
    decommissioned_at: int
    actor: str
    reason: str
    forced: bool


def find(connection: Connection, model: str, version: str) -> Decommission | None:
    """Return how a version was decommissioned; None if it was not."""
    row = (
        connection.execute(
            select(schema.decommission).where(
                _DECOMMISSION.model == model, _DECOMMISSION.version == version
            )
        )
        .mappings()
        .one_or_none()
    )
    return Decommission(**row) if row is not None else None


def of_model(connection: Connection, model: str) -> dict[str, Decommission]:
    """Return what `find` does for each version of a model that was decommissioned."""
    rows = connection.execute(select(schema.decommission).where(_DECOMMISSION.model == model))
    return {row["version"]: Decommission(**row) for row in rows.mappings()}


def decommission(
    change: Change, model: str, version: str, reason: str, *, force: bool = False
) -> list[str]:
    """Decommission a version in the caller's change; return what still runs it.

    Forced, what is in service stays in service until something else is placed.

    Args:
        change: the caller's open transaction; its audit record is part of it.
        model: the model's name.
        version: the version's name.
        reason: for people who look at it later.
        force: decommission it also if something still runs it.

    Raises:
        UnknownModel: if there is no such version.
        InvalidInput: if it is forced without a reason.
        Conflict: if it was decommissioned, or something runs it and it is not forced.
    """
    check_version(change.connection, model, version)
    check_in_use(change.connection, model, version)
    if force and not reason.strip():
        raise InvalidInput("a forced decommission needs a reason")
    uses = used_by(change.connection, model, version)
    if uses and not force:
        raise Conflict(
            f"{model}@{version} is still used: {'; '.join(uses)}; end that first, or force it with "
            "a reason",
            details=[{"use": use} for use in uses],
        )
    change.execute(
        insert(schema.decommission).values(
            model=model,
            version=version,
            decommissioned_at=now_ms(),
            actor=change.actor,
            reason=reason,
            forced=force,
        )
    )
    detail = {"reason": reason, "forced": force, "uses": uses}
    change.audit("decommission", f"{model}@{version}", detail, model=model)
    return uses


def used_by(connection: Connection, model: str, version: str) -> list[str]:
    """Name what runs a version: placements, rollouts, aliases, and nodes that report it."""
    rollout = schema.rollout.c
    alias, node, package = schema.alias.c, schema.node.c, schema.version.c
    placed = placements.environments_of(connection, model, version)
    rolled = connection.scalars(
        select(rollout.id).where(
            rollout.model == model,
            or_(rollout.candidate == version, rollout.champion == version),
            rollout.state.in_(ACTIVE),
        )
    )
    named = connection.scalars(
        select(alias.alias).where(alias.model == model, alias.version == version)
    )
    digests = set(
        connection.scalars(
            select(package.digest).where(package.name == model, package.version == version)
        )
    )
    nodes = connection.execute(select(node.name, node.digests).where(node.revoked_at.is_(None)))
    return [
        *(f"placed in {one}" for one in sorted(placed)),
        *(f"rollout {one}" for one in sorted(rolled)),
        *(f"alias {one}" for one in sorted(named)),
        *(f"node {one.name}" for one in nodes if digests.intersection(one.digests)),
    ]
