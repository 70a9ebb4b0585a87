"""Enrolment: a one-time token and a certificate request become a certificate.

On the port without client certificates, a token is exchanged for a certificate. On the port that
requires them, a certificate is renewed without a token, also for months after its end. So a device
that was offline comes back by itself.
"""

from sqlalchemy import select

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import Conflict, NotAllowed
from gnomon.runtime.packages.package_keys import limited_keys, unlimited_keys
from gnomon.server.hub.access import enrolment_tokens, keys, nodes
from gnomon.server.hub.access.authority import Authority, CertificateIdentity, Request, read_request
from gnomon.server.hub.access.enrolment_tokens import TokenGrant
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.database import Database


class CertificateIssuer:
    """Decides who gets a certificate."""

    def __init__(self, database: Database, authority: Authority, certificate_days: float) -> None:
        self._database = database
        self._authority = authority
        self._days = certificate_days

    def enrol(self, message: hub_pb2.EnrollRequest) -> hub_pb2.EnrollResponse:
        """Exchange a token for a certificate.

        Raises:
            NotAllowed: if the token does not give this right, or was used and the name has been
                revoked, renewed, or enrolled by another token since.
            Conflict: if the name is taken and the token was not made for just this name, or
                for another role or environment.
        """
        request = read_request(message.certificate_request)
        facts = nodes.check_facts(message.facts)
        with self._database.change(f"token:{request.name[:64]}") as change:
            grant = enrolment_tokens.use(change, message.token, request)
            if grant.is_retry:
                _check_retry(change, request, grant)
            else:
                _check_taken(change, request.name, grant)
            certificate, identity = self._authority.issue_client(request, grant.role, self._days)
            given = None if grant.is_retry else grant
            nodes.enrol(change, identity, request.key_hash, facts, given)
        return self._answer(certificate)

    def renew(
        self, identity: CertificateIdentity, message: hub_pb2.EnrollRequest
    ) -> hub_pb2.EnrollResponse:
        """Renew a certificate of a name that is still enrolled.

        Raises:
            NotAllowed: if the request is for another name, or the certificate was replaced.
        """
        request = read_request(message.certificate_request)
        if request.name != identity.name:
            raise NotAllowed(f"{identity.name!r} may not renew as {request.name!r}")
        with self._database.change(f"{identity.role}:{identity.name}") as change:
            certificate, renewed = self._authority.issue_client(request, identity.role, self._days)
            facts = nodes.check_facts(message.facts)
            nodes.enrol(change, renewed, request.key_hash, facts, shown=identity)
        return self._answer(certificate)

    def _answer(self, certificate: bytes) -> hub_pb2.EnrollResponse:
        with self._database.read() as connection:
            trusted = keys.trusted(connection)
        return hub_pb2.EnrollResponse(
            certificate=certificate,
            authority=self._authority.certificate_pem,
            trusted_keys=unlimited_keys(trusted),
            limited_keys=[
                hub_pb2.LimitedKey(key=one.key, models=one.models) for one in limited_keys(trusted)
            ],
        )


def _check_retry(change: Change, request: Request, grant: TokenGrant) -> None:
    """Refuse a used token unless the name still has the key that it enrolled.

    Otherwise a token that was used once would enrol its holder again after the name was revoked or
    given to somebody else.
    """
    node = schema.node.c
    bears = change.connection.scalar(
        select(node.key_hash).where(node.name == request.name, node.role == grant.role)
    )
    if bears != request.key_hash:
        raise NotAllowed(
            f"the token was used before, and {request.name!r} was revoked, renewed or enrolled by "
            "another token since; ask for a new token"
        )


def _check_taken(change: Change, name: str, grant: TokenGrant) -> None:
    """Refuse a name that is taken, unless the token was made for just this name."""
    node = schema.node.c
    taken = change.connection.execute(
        select(node.role, node.environment).where(node.name == name)
    ).one_or_none()
    if taken is None:
        return
    if not grant.names_one:
        raise Conflict(
            f"{name!r} is enrolled already; to replace it, use a token made for this very name"
        )
    if (taken.role, taken.environment) != (grant.role, grant.environment):
        raise Conflict(
            f"{name!r} is enrolled as a {taken.role} in {taken.environment}; to replace it, use a "
            "token for just that, or move it first"
        )
