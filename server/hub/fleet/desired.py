"""Desired state: what the hub wants of a node, from placements and active rollouts.

It is derived from what is in service and what the node can run, and cached until the next audited
change. A new generation is taken from one counter only if the state differs from the one that this
node got last. So no change has to be announced, and a node that restarts gets the same state.

States are ordered by (epoch, generation). A hub that was restored from a backup may have forgotten
the newest generations. So a restore begins a new epoch, and a node that reports more than this hub
has sent it gets its state again, with numbers above those that it knows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import UnknownModel
from gnomon.runtime.limits import MAXIMUM_GENERATION
from gnomon.runtime.routing.routes import WEIGHT_TOTAL
from gnomon.server.hub import placements
from gnomon.server.hub.access import assigned, environments, keys
from gnomon.server.hub.access.environments import PRODUCTION
from gnomon.server.hub.fleet.desired_cache import DesiredStates
from gnomon.server.hub.store import counters, schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.rollout_state import ACTIVE
from gnomon.server.hub.versions import approvals, decommission

#: The largest number of a node's report that is followed: far below what nodes take, so that no
#: node can use up the numbers.
_FOLLOWED = MAXIMUM_GENERATION >> 1

#: The fact that lists the formats a node can run, most wanted first, with commas between.
ENGINES_FACT = "engines"


@dataclass(frozen=True)
class TrafficSplit:
    """How one model's traffic is split."""

    model: str
    champion: str
    candidate: str = ""
    weight: int = 0
    shadow: int = 0


def place(change: Change, model: str, version: str, environment: str = PRODUCTION) -> bool:
    """Put a version in service on all nodes of an environment; return whether that is new.

    Args:
        change: the caller's open transaction; its audit record is part of it.
        model: the model's name.
        version: the version's name.
        environment: on whose nodes.

    Raises:
        UnknownModel: if there is no such version.
        NotFound: if there is no such environment.
        UntrustedPackage: if no key that is trusted now signed it.
        Conflict: if it was decommissioned, or lacks the approval that its risk tier needs.
    """
    environments.check(change.connection, environment)
    versions = schema.version.c
    known = change.connection.scalar(
        select(versions.digest).where(versions.name == model, versions.version == version).limit(1)
    )
    if known is None:
        raise UnknownModel(f"there is no {model}@{version} in the registry")
    change.check("place", model, environment)
    decommission.check_in_use(change.connection, model, version)
    keys.check_signed(change.connection, model, version)
    approvals.check_approved(change.connection, model, version, environment)
    return placements.put_in_service(change, model, version, environment)


def for_node(
    connection: Connection,
    name: str,
    request: hub_pb2.ExchangeRequest,
    states: DesiredStates,
    proved: Sequence[str] = (),
) -> hub_pb2.DesiredState:
    """Return the desired state of a node; store its generation if the state is new.

    Args:
        connection: of the caller's transaction, in which a new generation is stored.
        name: of the node.
        request: what the node reported, and said of itself.
        states: the cache of desired states.
        proved: digests that this hub once assigned to the node, and may have forgotten.
    """
    columns = schema.node.c
    known = connection.execute(
        select(
            columns.generation, columns.desired_hash, columns.environment, columns.assigned
        ).where(columns.name == name)
    ).one()
    wanted = states.find(connection, engines_of(request.facts), known.environment)
    state = hub_pb2.DesiredState()
    state.CopyFrom(wanted.state)
    state.epoch, newest = _newest_reported(connection, request.reported)
    forgotten = [digest for digest in proved if digest not in known.assigned]
    before = [*forgotten, *known.assigned][-assigned.REMEMBERED :]
    packages = assigned.remember(before, (package.digest for package in state.packages))
    if packages != known.assigned:
        connection.execute(
            update(schema.node).where(columns.name == name).values(assigned=packages)
        )
    if known.desired_hash == wanted.hash and known.generation >= newest:
        state.generation = known.generation
        return state
    counters.raise_to(connection, counters.GENERATION, newest)
    state.generation = counters.advance(connection, counters.GENERATION)
    connection.execute(
        update(schema.node)
        .where(columns.name == name)
        .values(generation=state.generation, desired_hash=wanted.hash)
    )
    return state


def _newest_reported(connection: Connection, reported: hub_pb2.ReportedState) -> tuple[int, int]:
    """Return the epoch for a node, and the newest generation of it that the node reports.

    A node that reports no epoch is older than epochs, or has nothing in service.
    """
    known = [
        (epoch, generation)
        for epoch, generation in (
            (reported.epoch, reported.generation),
            (reported.refused_epoch, reported.refused_generation),
        )
        if max(epoch, generation) <= _FOLLOWED
    ]
    epoch = max([counters.read(connection, counters.EPOCH), *(one[0] for one in known)])
    return epoch, max((one[1] for one in known if one[0] in (0, epoch)), default=0)


def engines_of(facts: Mapping[str, str]) -> tuple[str, ...]:
    """Return the formats that a node can run, most wanted first."""
    return tuple(part.strip() for part in facts.get(ENGINES_FACT, "").split(",") if part.strip())


def build(
    connection: Connection, engines: Sequence[str], environment: str = PRODUCTION
) -> hub_pb2.DesiredState:
    """Return the state, without its number, for a node that can run these formats."""
    state = hub_pb2.DesiredState()
    for traffic in _traffic(connection, environment):
        champion = _choose(connection, traffic.model, traffic.champion, engines)
        if champion is None:
            continue  # the node can run no package of this model
        candidate = None
        if traffic.candidate:
            candidate = _choose(connection, traffic.model, traffic.candidate, engines)
        state.packages.extend(package for package in (champion, candidate) if package is not None)
        state.routes.append(_route(traffic, champion, candidate))
    return state


def _route(
    traffic: TrafficSplit, champion: hub_pb2.PackageRef, candidate: hub_pb2.PackageRef | None
) -> hub_pb2.Route:
    route = hub_pb2.Route(name=traffic.model)
    weight = traffic.weight if candidate is not None else 0
    if weight < WEIGHT_TOTAL:
        route.targets.add(digest=champion.digest, weight=WEIGHT_TOTAL - weight)
    if candidate is None:
        return route
    if weight > 0:
        route.targets.add(digest=candidate.digest, weight=weight)
        route.fallback_digest = champion.digest
    if traffic.shadow > 0:
        route.shadows.add(digest=candidate.digest, weight=traffic.shadow)
    return route


def _traffic(connection: Connection, environment: str) -> list[TrafficSplit]:
    rollouts = schema.rollout.c
    active = {
        row.model: row
        for row in connection.execute(
            select(rollouts.model, rollouts.candidate, rollouts.weight, rollouts.shadow).where(
                rollouts.state.in_(ACTIVE), rollouts.environment == environment
            )
        )
    }
    result = []
    for model, version in placements.of_environment(connection, environment).items():
        rollout = active.get(model)
        if rollout is None or rollout.candidate == version:
            result.append(TrafficSplit(model, version))
        else:
            result.append(
                TrafficSplit(model, version, rollout.candidate, rollout.weight, rollout.shadow)
            )
    return result


def _choose(
    connection: Connection, model: str, version: str, engines: Sequence[str]
) -> hub_pb2.PackageRef | None:
    """Return the package of a version in the format that the node wants most, if any runs there."""
    columns = schema.version.c
    formats = {
        row.format: row
        for row in connection.execute(
            select(columns.digest, columns.format, columns.envelopes).where(
                columns.name == model, columns.version == version
            )
        )
    }
    row = next((formats[engine] for engine in engines if engine in formats), None)
    if row is None:
        return None
    return hub_pb2.PackageRef(
        name=model,
        version=version,
        digest=row.digest,
        format=row.format,
        envelopes=[envelope.encode() for envelope in row.envelopes],
    )
