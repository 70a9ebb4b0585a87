"""Approvals: a second person approves a version for an environment if its risk tier needs it.

An environment names the risk tiers that need no approval there. In production a new hub exempts
only tiers that are called harmless. An approval is of a package, by its digest, for one
environment: a format that is published later needs its own. It must come from somebody else than
the publisher: as a record here, or as a DSSE attestation by a trusted key of an approver, whose
predicate names the environment.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from gnomon.runtime.errors import Conflict, InvalidInput
from gnomon.runtime.packages.signing import APPROVAL_PREDICATE_TYPE, TrustStore
from gnomon.server.hub import placements
from gnomon.server.hub.access import environments, keys
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import new_id, now_ms
from gnomon.server.hub.store.rollout_state import ACTIVE
from gnomon.server.hub.versions.aliases import check_version

_APPROVAL = schema.approval.c
_VERSION = schema.version.c


def check_approved(connection: Connection, model: str, version: str, environment: str) -> None:
    """Check that each package of a version has what its tier needs in an environment.

    Args:
        connection: of an open transaction; it only reads.
        model: the model's name.
        version: the version's name.
        environment: in which it is to come into service.

    Raises:
        Conflict: if an approval is missing; it says of what, and how it is given.
    """
    exempt = connection.scalar(
        select(schema.environment.c.exempt_tiers).where(schema.environment.c.name == environment)
    )
    if exempt is None:
        return
    lacking = [row for row in _packages(connection, model, version) if row.risk_tier not in exempt]
    if not lacking:
        return
    approved = _approved(connection, model, version, environment)
    trust = TrustStore(keys.trusted(connection, keys.KeyRole.APPROVER))
    lacking = [
        row
        for row in lacking
        if row.digest not in approved and not _is_attested(trust, row, model, environment)
    ]
    if lacking:
        formats = ", ".join(row.format for row in lacking)
        raise Conflict(
            f"{model}@{version} ({formats}) is of risk tier {lacking[0].risk_tier!r}, which needs "
            f"an approval in {environment} by another person than its publisher: "
            f"`gnomon registry approve {model}@{version} --env {environment}`",
            details=[{"format": row.format, "digest": row.digest} for row in lacking],
        )


def check_addition(connection: Connection, model: str, version: str, risk_tier: str) -> None:
    """Check that a further format of a version would not come into service without an approval.

    Args:
        connection: of an open transaction; it only reads.
        model: the model's name.
        version: the version's name.
        risk_tier: of the further format.

    Raises:
        Conflict: if the version is in service, or rolled out, in an environment in which its tier
            needs one.
    """
    rolled = schema.rollout.c
    used = placements.environments_of(connection, model, version) | set(
        connection.scalars(
            select(rolled.environment).where(
                rolled.model == model, rolled.candidate == version, rolled.state.in_(ACTIVE)
            )
        )
    )
    rows = connection.execute(
        select(schema.environment.c.name, schema.environment.c.exempt_tiers).where(
            schema.environment.c.name.in_(used)
        )
    )
    asking = [
        row.name
        for row in rows
        if row.exempt_tiers is not None and risk_tier not in row.exempt_tiers
    ]
    if asking:
        raise Conflict(
            f"{model}@{version} is in service in {', '.join(sorted(asking))}, where risk tier "
            f"{risk_tier!r} needs an approval; publish another format under another version"
        )


def set_policy(change: Change, environment: str, exempt: Sequence[str] | None) -> None:
    """Say which risk tiers need no approval in an environment; None: none needs one.

    Raises:
        NotFound: if there is no such environment.
    """
    environments.check(change.connection, environment)
    tiers = None if exempt is None else sorted(set(exempt))
    change.execute(
        update(schema.environment)
        .where(schema.environment.c.name == environment)
        .values(exempt_tiers=tiers)
    )
    change.audit("set_policy", environment, {"exempt_tiers": tiers})


def approve(change: Change, model: str, version: str, environment: str, reason: str) -> None:
    """Approve all packages that a version has now, in the caller's change.

    Args:
        change: of the approver.
        model: the model's name.
        version: the version's name.
        environment: for which it counts.
        reason: for people who look at it later.

    Raises:
        UnknownModel: if there is no such version.
        NotFound: if there is no such environment.
        Conflict: if the actor published one of them.
    """
    environments.check(change.connection, environment)
    check_version(change.connection, model, version)
    change.check("approve", model, environment)
    packages = _packages(change.connection, model, version)
    own = [row.format for row in packages if row.publisher == change.actor]
    if own:
        raise Conflict(
            f"{change.actor!r} published {model}@{version} ({', '.join(own)}); "
            "another person should approve it"
        )
    detail = {
        "environment": environment,
        "reason": reason,
        "digests": [row.digest for row in packages],
    }
    for row in packages:
        change.execute(
            insert(schema.approval).values(
                id=new_id(),
                digest=row.digest,
                environment=environment,
                model=model,
                version=version,
                approver=change.actor,
                approved_at=now_ms(),
                reason=reason,
            )
        )
    change.audit("approve", f"{model}@{version}", detail, model=model, environment=environment)


def withdraw(change: Change, model: str, version: str, environment: str, reason: str) -> None:
    """Withdraw all approvals of a version; what is in service stays there.

    Args:
        change: of the actor who withdraws it.
        model: the model's name.
        version: the version's name.
        environment: for which it counted.
        reason: for people who look at it later.

    Raises:
        InvalidInput: if none counts now.
    """
    done = change.execute(
        update(schema.approval)
        .where(
            _APPROVAL.model == model,
            _APPROVAL.version == version,
            _APPROVAL.environment == environment,
            _APPROVAL.withdrawn_at.is_(None),
        )
        .values(withdrawn_at=now_ms())
    )
    if done.rowcount == 0:
        raise InvalidInput(f"{model}@{version} has no approval for {environment} to withdraw")
    detail = {"environment": environment, "reason": reason}
    change.audit(
        "withdraw_approval", f"{model}@{version}", detail, model=model, environment=environment
    )


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's approval of a package for an environment. Times are Unix milliseconds."""

    id: str
    digest: str
    environment: str
    model: str
    version: str
    approver: str
    approved_at: int
    reason: str
    withdrawn_at: int | None


def listing(connection: Connection, model: str, version: str) -> list[Approval]:
    """Return the approvals of a version, newest first."""
    rows = connection.execute(
        select(schema.approval)
        .where(_APPROVAL.model == model, _APPROVAL.version == version)
        .order_by(_APPROVAL.id.desc())
    )
    return [Approval(**row) for row in rows.mappings()]


def of_model(connection: Connection, model: str) -> dict[str, list[str]]:
    """Return the environments for which each version of a model is approved now."""
    rows = connection.execute(
        select(_APPROVAL.version, _APPROVAL.environment)
        .where(_APPROVAL.model == model, _APPROVAL.withdrawn_at.is_(None))
        .distinct()
        .order_by(_APPROVAL.version, _APPROVAL.environment)
    )
    found: dict[str, list[str]] = defaultdict(list)
    for version, environment in rows:
        found[version].append(environment)
    return found


def _packages(connection: Connection, model: str, version: str) -> list[Row[*tuple[Any, ...]]]:
    rows = connection.execute(
        select(
            _VERSION.format,
            _VERSION.digest,
            _VERSION.risk_tier,
            _VERSION.publisher,
            _VERSION.envelopes,
        )
        .where(_VERSION.name == model, _VERSION.version == version)
        .order_by(_VERSION.format)
    )
    return list(rows)


def _approved(connection: Connection, model: str, version: str, environment: str) -> set[str]:
    """Return the digests that somebody else than their publisher approved here."""
    rows = connection.execute(
        select(_APPROVAL.digest)
        .join(schema.version, _VERSION.digest == _APPROVAL.digest)
        .where(
            _APPROVAL.model == model,
            _APPROVAL.version == version,
            _APPROVAL.environment == environment,
            _APPROVAL.withdrawn_at.is_(None),
            _APPROVAL.approver != _VERSION.publisher,
        )
    )
    return {row.digest for row in rows}


def _is_attested(
    trust: TrustStore, row: Row[*tuple[Any, ...]], model: str, environment: str
) -> bool:
    envelopes = [envelope.encode() for envelope in row.envelopes]
    statements = trust.statements(row.digest, envelopes, APPROVAL_PREDICATE_TYPE, model)
    return any(one.get("environment") == environment for one in statements)
