"""Promotion: only what has passed a test deployment may be placed or rolled out.

The outcome of `gnomon package test` is an attestation of the package. It must be signed by a
tester's key that the hub trusts; the newest counts. Builders attest their own packages only if no
risk tier forbids it and no tester's key was ever trusted for the model. It must have passed in
every format of the version, since the format that a node gets depends on the node.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from gnomon.runtime.errors import Conflict
from gnomon.runtime.packages.risk_tiers import is_strict
from gnomon.runtime.packages.signing import TEST_PREDICATE_TYPE, TrustStore
from gnomon.server.hub.access import keys
from gnomon.server.hub.access.keys import KeyRole
from gnomon.server.hub.store import schema

_VERSION = schema.version.c


def check_tested(connection: Connection, model: str, version: str) -> None:
    """Check that each package of a version has passed its newest test deployment.

    A version that is not in the registry has no packages, and passes: other checks report that it
    does not exist.

    Raises:
        Conflict: if one has not; the message says which, why, and what to do.
    """
    testers = TrustStore(keys.trusted(connection, KeyRole.TESTER))
    builders = TrustStore(() if keys.has_testers(connection, model) else keys.trusted(connection))
    rows = connection.execute(
        select(_VERSION.format, _VERSION.digest, _VERSION.envelopes, _VERSION.risk_tier)
        .where(_VERSION.name == model, _VERSION.version == version)
        .order_by(_VERSION.format)
    )
    faults = []
    for row in rows:
        envelopes = [envelope.encode() for envelope in row.envelopes]
        found = testers.statements(row.digest, envelopes, TEST_PREDICATE_TYPE, model)
        if not is_strict(row.risk_tier):
            found += builders.statements(row.digest, envelopes, TEST_PREDICATE_TYPE, model)
        if fault := _fault(found):
            faults.append({"format": row.format, "digest": row.digest, "fault": fault})
    if faults:
        text = "; ".join(f"{one['format']} {one['fault']}" for one in faults)
        raise Conflict(
            f"{model}@{version} may not be placed or rolled out: {text}. Run `gnomon package test "
            "PACKAGE --key KEY` with a tester's key (`gnomon hub trust KEY --role tester`), and "
            "push the package again",
            details=faults,
        )


def _fault(statements: Sequence[Mapping[str, Any]]) -> str:
    """Return what is wrong with the test deployments of one package; empty if nothing is."""
    if not statements:
        return "has no test deployment that a trusted tester's key attests"
    newest = max(str(one.get("tested_at", "")) for one in statements)
    # Of two in the same second the worse counts.
    passed = all(
        one.get("passed") is True for one in statements if str(one.get("tested_at", "")) == newest
    )
    return "" if passed else f"failed its test deployment of {newest or 'an unknown time'}"
