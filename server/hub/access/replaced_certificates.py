"""Which of the certificates that a name has had still count.

A renewal replaces the certificate that was shown. Its answer may be lost, so that one still counts
until the first call with the new one. From then on all former ones are refused, also if they are of
the same key and have not expired: of a copied identity, only one holder can go on, and the other is
noticed.

A hub may not know which certificate a name has: earlier versions let all of a key count, and a
restored hub has forgotten the newest ones. Then all of the key count until the newest known one is
used, and any that is newer than all that this hub knows.
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update

from gnomon.runtime.errors import NotAllowed
from gnomon.server.hub.access.authority import CertificateIdentity
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database

_NODE = schema.node.c

#: What is read of a name to tell.
COLUMNS: tuple[ColumnElement[Any], ...] = (
    _NODE.certificate_serial,
    _NODE.former_serial,
    _NODE.superseded_at,
)


def check(known: Any, identity: CertificateIdentity) -> bool:
    """Check that a certificate was not replaced; return whether `confirm` should follow.

    Args:
        known: a row with the name's `COLUMNS`.
        identity: what the certificate says.

    Raises:
        NotAllowed: it was replaced.
    """
    if identity.serial == known.certificate_serial:
        return bool(known.former_serial != "")
    if known.former_serial in (None, identity.serial) or identity.issued_at > known.superseded_at:
        return False
    raise NotAllowed(
        f"the certificate of {identity.name!r} was replaced by a newer one, which is in use: does "
        "another machine have a copy of this identity? Make a token for this very name, and start "
        "with it",
        details=[{"certificate": "replaced"}],
    )


def confirm(database: Database, identity: CertificateIdentity) -> None:
    """Let only this certificate of its name count, unless it was replaced meanwhile."""
    with database.write() as connection:
        connection.execute(
            update(schema.node)
            .where(_NODE.name == identity.name, _NODE.certificate_serial == identity.serial)
            .values(former_serial="")
        )


def replace(
    connection: Connection, name: str, shown: CertificateIdentity | None
) -> dict[str, str | int]:
    """Return what to store beside a new certificate of a name.

    Args:
        connection: of the transaction that stores it.
        name: whose certificate it is.
        shown: the certificate that is renewed; None: a token gives the new one.

    Raises:
        NotAllowed: the certificate that is renewed was replaced meanwhile.
    """
    known = connection.execute(
        select(*COLUMNS, _NODE.enrolled_at).where(_NODE.name == name)
    ).one_or_none()
    if known is None:
        return {"former_serial": "", "superseded_at": 0}
    superseded_at = max(known.superseded_at, known.enrolled_at)
    if shown is None:
        return {"former_serial": "", "superseded_at": superseded_at}
    check(known, shown)
    # By a clock that was wrong, the one that is renewed may be younger than the new one.
    return {
        "former_serial": shown.serial,
        "superseded_at": max(superseded_at, shown.issued_at),
    }
