"""Nodes and builders that enrolled: their identity, and what they last reported."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import InvalidInput, NotAllowed, NotFound
from gnomon.server.hub.access import replaced_certificates
from gnomon.server.hub.access.authority import BUILDER, CertificateIdentity
from gnomon.server.hub.access.enrolment_tokens import TokenGrant
from gnomon.server.hub.store import counters, schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import DAY_MS, now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.limits import MAXIMUM_COUNT
from gnomon.server.hub.store.rights import Actor, Grant, Role

_FACTS = 64
_FACT_CHARACTERS = 1_024
_REASON_CHARACTERS = 4_096
_DIGESTS = 1_000
_DIGEST_CHARACTERS = 64
_REFUSALS = 64
_REFUSAL_CHARACTERS = 1_024
_ROUTE_CHARACTERS = 256

#: How long after its end a certificate can still be renewed by its key.
_RENEWABLE_MS = 365 * DAY_MS
#: No hub of this program is older than 2025: earlier times are of a clock that was not set.
_CLOCK_IS_SET_MS = 1_735_689_600_000

_NODE = schema.node.c


class NotEnrolled(NotAllowed):
    """The holder of a certificate of this hub's authority is not known here."""


def check_facts(facts: Mapping[str, str]) -> dict[str, str]:
    """Return a node's facts, after a check of their number and length.

    Raises:
        InvalidInput: if there are too many facts, or one is too long.
    """
    if len(facts) > _FACTS or any(len(k) + len(v) > _FACT_CHARACTERS for k, v in facts.items()):
        raise InvalidInput(
            f"facts should be at most {_FACTS}, each of at most {_FACT_CHARACTERS} characters"
        )
    return dict(facts)


def check_enrolled(
    database: Database, identity: CertificateIdentity, *, renews: bool = False
) -> bool:
    """Check that the holder of a certificate is still enrolled.

    Return whether it is the only certificate of the name that counts, so that this holds until the
    next decision.

    Args:
        database: of the hub.
        identity: what the certificate says.
        renews: the call renews the certificate; for that it may have expired, for months.

    Raises:
        NotEnrolled: if the name is unknown.
        NotAllowed: if the certificate has expired or was replaced, or the name has another role or
            another key, or was revoked after the certificate was issued.
    """
    with database.read() as connection:
        row = connection.execute(
            select(
                _NODE.role, _NODE.revoked_at, _NODE.key_hash, *replaced_certificates.COLUMNS
            ).where(_NODE.name == identity.name)
        ).one_or_none()
    if row is None or row.role != identity.role:
        kind = NotEnrolled if row is None else NotAllowed
        raise kind(
            f"{identity.role} {identity.name!r} is not enrolled at this hub; make a token for this "
            "very name, and start with it, or, if the hub lost it, adopt the node there"
        )
    # Not by times alone: a clock that was wrong may have issued the certificate in the future.
    is_gone = row.revoked_at is not None and not row.key_hash
    if row.revoked_at is not None and (is_gone or identity.issued_at <= row.revoked_at):
        raise NotAllowed(f"the certificates of {identity.name!r} were revoked; enrol again")
    if row.key_hash and row.key_hash != identity.key_hash:
        raise NotAllowed(f"{identity.name!r} was enrolled with another key since; enrol again")
    is_first = replaced_certificates.check(row, identity)
    check_time(identity, renews=renews)
    if is_first:
        replaced_certificates.confirm(database, identity)
    return bool(identity.serial == row.certificate_serial)


def check_time(identity: CertificateIdentity, *, renews: bool = False) -> None:
    """Check that a certificate has not expired, or not too long ago to be renewed.

    Raises:
        NotAllowed: it has.
    """
    expired_ms = now_ms() - identity.expires_at
    if expired_ms <= 0:
        return
    expired_at = f"{datetime.fromtimestamp(identity.expires_at / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    if not renews:
        raise NotAllowed(
            f"the certificate of {identity.name!r} has expired at {expired_at}; it has to be "
            "renewed",
            details=[{"certificate": "expired"}],
        )
    # Issued while the hub's clock was not set: how long ago it expired is not known.
    if expired_ms > _RENEWABLE_MS and identity.issued_at > _CLOCK_IS_SET_MS:
        raise NotAllowed(
            f"the certificate of {identity.name!r} has expired at {expired_at}, too long ago to be "
            "renewed; make a token for this very name, and start with it"
        )


def enrol(
    change: Change,
    identity: CertificateIdentity,
    key_hash: str,
    facts: Mapping[str, str],
    grant: TokenGrant | None = None,
    *,
    shown: CertificateIdentity | None = None,
) -> None:
    """Record a new certificate for a name.

    Args:
        change: the transaction.
        identity: what the certificate says.
        key_hash: SHA-256 of its public key, in hex.
        facts: what the caller says of its machine; stored only if the name is new.
        grant: what a token gave; without one, a name keeps its environment and models.
        shown: the certificate that is renewed; None: a token gives the new one.

    Raises:
        NotAllowed: the certificate that is renewed was replaced meanwhile.
    """
    values = {
        "role": identity.role,
        "certificate_serial": identity.serial,
        "key_hash": key_hash,
        # Never before the certificate's own time, which is rounded: what is younger counts.
        "enrolled_at": max(now_ms(), identity.issued_at),
        **replaced_certificates.replace(change.connection, identity.name, shown),
    }
    given = {"environment": grant.environment, "models": grant.models} if grant else {}
    values |= given
    known = change.connection.scalar(select(_NODE.name).where(_NODE.name == identity.name))
    if known is not None:
        change.execute(update(schema.node).where(_NODE.name == identity.name).values(**values))
    else:
        change.execute(
            insert(schema.node).values(
                name=identity.name, facts=dict(facts), digests=[], spool={}, **values
            )
        )
    detail = {"role": identity.role, "serial": identity.serial, **given}
    change.audit("enrol", identity.name, detail)


def builder_of(database: Database, identity: CertificateIdentity) -> Actor:
    """Return the builder that a certificate names, with the models that it may publish."""
    with database.read() as connection:
        models = connection.scalar(
            select(_NODE.models).where(_NODE.name == identity.name, _NODE.role == BUILDER)
        )
    return Actor(identity.name, (Grant(Role.BUILDER, models),) if models else ())


def revoke(database: Database, actor: Actor | str, name: str) -> None:
    """Make all certificates issued so far to a name worthless, and the tokens that gave them.

    Raises:
        NotFound: if no node or builder of that name is enrolled.
    """
    with database.change(actor) as change:
        known = change.execute(
            select(_NODE.role, _NODE.environment).where(_NODE.name == name)
        ).one_or_none()
        if known is None:
            raise NotFound(f"no node or builder named {name!r} is enrolled", kind="node")
        change.execute(
            update(schema.node).where(_NODE.name == name).values(revoked_at=now_ms(), key_hash="")
        )
        action = "revoke_builder" if known.role == BUILDER else "revoke"
        change.audit(action, name, environment=known.environment)


def report(connection: Connection, name: str, request: hub_pb2.ExchangeRequest) -> None:
    """Store a node's report.

    Generations that this hub has not sent to the node are not stored: they are of a past that the
    hub has forgotten, or invented, and say nothing about what it wants now.
    """
    reported, spool = request.reported, request.spool
    sent = connection.scalar(select(_NODE.generation).where(_NODE.name == name)) or 0
    epoch = counters.read(connection, counters.EPOCH)

    def known(number_epoch: int, number: int) -> int:
        return number if number <= sent and (number_epoch == 0 or number_epoch >= epoch) else 0

    connection.execute(
        update(schema.node)
        .where(_NODE.name == name)
        .values(
            last_seen_at=now_ms(),
            boot=request.boot[:64],
            facts=check_facts(request.facts),
            reported_generation=known(reported.epoch, reported.generation),
            state=_state_name(reported.state),
            digests=[digest[:_DIGEST_CHARACTERS] for digest in reported.digests[:_DIGESTS]],
            refused_generation=known(reported.refused_epoch, reported.refused_generation),
            reason=reported.reason[:_REASON_CHARACTERS],
            refused=[
                {
                    "route": one.route[:_ROUTE_CHARACTERS],
                    "digest": one.digest[:_DIGEST_CHARACTERS],
                    "reason": one.reason[:_REFUSAL_CHARACTERS],
                }
                for one in reported.refused[:_REFUSALS]
            ],
            spool={
                "records": min(spool.records, MAXIMUM_COUNT),
                "bytes": min(spool.bytes, MAXIMUM_COUNT),
                "merged": min(spool.merged, MAXIMUM_COUNT),
                "dropped": min(spool.dropped, MAXIMUM_COUNT),
            },
        )
    )


def _state_name(state: int) -> str:
    try:
        return str(hub_pb2.InstallState.Name(state))
    except ValueError:
        return f"UNKNOWN_{state}"


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node or builder that enrolled, and what it last reported; times are Unix milliseconds.

    `generation` numbers the desired state, `reported_generation` the one in service there. Each of
    `refused` is a package (`digest`) or else a whole `route` of the newest state that is not in
    service there, with the `reason`.
    """

    name: str
    role: str
    environment: str
    models: str
    certificate_serial: str
    enrolled_at: int
    revoked_at: int | None
    facts: dict[str, Any]
    last_seen_at: int | None
    boot: str
    generation: int
    reported_generation: int
    state: str
    digests: list[str]
    refused_generation: int
    reason: str
    refused: list[dict[str, str]]
    spool: dict[str, int]


@dataclass(frozen=True, slots=True)
class EventRecord:
    """What a node said has happened: `at` by its clock, `received_at` by the hub's, in Unix ms."""

    position: int
    node: str
    boot: str
    sequence: int
    at: int
    received_at: int
    kind: str
    detail: str


def listing(connection: Connection) -> list[NodeRecord]:
    """Return all nodes, by name."""
    rows = connection.execute(select(schema.node).order_by(_NODE.name)).mappings()
    hidden = {"desired_hash", "key_hash", "assigned", "former_serial", "superseded_at"}
    return [NodeRecord(**{key: row[key] for key in row if key not in hidden}) for row in rows]


def events(connection: Connection, name: str | None, limit: int) -> list[EventRecord]:
    """Return what nodes said has happened, newest first."""
    wanted = select(schema.event).order_by(schema.event.c.position.desc()).limit(limit)
    if name is not None:
        wanted = wanted.where(schema.event.c.node == name)
    return [EventRecord(**row) for row in connection.execute(wanted).mappings()]
