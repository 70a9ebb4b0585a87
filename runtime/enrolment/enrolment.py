"""A node's enrolment at its hub: certificate, connection, renewal in time."""

import hashlib
import logging
import threading
from collections.abc import Mapping
from datetime import UTC, datetime

from cryptography import x509

from gnomon.proto import hub_pb2
from gnomon.runtime.enrolment.hub_channel import HubChannel, enrol
from gnomon.runtime.enrolment.identity import (
    Identity,
    IdentityFolder,
    fetch_authority,
    key_pem,
    read_authority,
)
from gnomon.runtime.enrolment.settings import EnrolmentSettings, enrolment_address
from gnomon.runtime.enrolment.trust_file import TrustFile
from gnomon.runtime.errors import (
    ConfigurationError,
    Conflict,
    GnomonError,
    HubUnavailable,
    InvalidInput,
    NotAllowed,
    StorageError,
)
from gnomon.runtime.packages.package_keys import PackageKey
from gnomon.runtime.packages.signing import TrustStore

_log = logging.getLogger(__name__)

#: Refusals of a first enrolment that another try does not change.
_FINAL = (ConfigurationError, Conflict, InvalidInput, NotAllowed)


class Enrolment:
    """Holds identity and connection. Neither an expired nor a failed one stops a prediction.

    A certificate that replaces another is tried before the other is given up. After the hub has
    refused the certificate, it is renewed if it had only expired; or a token that was not used yet
    is traded for a new one.

    Attributes:
        refusal: why the node, which has no certificate, cannot enrol with these settings; None if
            it has one, or another try may succeed.
    """

    def __init__(self, settings: EnrolmentSettings, facts: Mapping[str, str]) -> None:
        self._settings = settings
        self._facts = dict(facts)
        self._folder = IdentityFolder(settings.data_folder / "identity")
        self._lock = threading.Lock()
        self._channel: HubChannel | None = None
        self._identity = self._folder.load()
        former = self._identity.trusted_keys if self._identity else ()
        self._trust_file = TrustFile(settings.data_folder / "trust.json", former)
        self._previous: Identity | None = None
        self._failure: GnomonError | None = None
        self.refusal: GnomonError | None = None
        self._used_tokens: set[str] = set()

    @property
    def is_enrolled(self) -> bool:
        """Whether the node has a certificate."""
        return self._identity is not None

    @property
    def trust(self) -> TrustStore:
        """Return the keys whose packages this node accepts; none before it has enrolled."""
        return self._trust_file.trust

    @property
    def damage(self) -> tuple[str, ...]:
        """Return what was wrong with the files of identity and trusted keys."""
        return tuple(filter(None, (self._folder.damage, self._trust_file.damage)))

    @property
    def validity(self) -> tuple[datetime, datetime] | None:
        """Return from when to when the hub accepts the certificate; None without one."""
        return self._identity.validity if self._identity else None

    @property
    def trusted_keys(self) -> tuple[PackageKey, ...]:
        """Return the keys of the enrolment, which count at a hub without signed metadata."""
        return self._trust_file.keys

    @property
    def channel(self) -> HubChannel | None:
        """Return the connection, or None."""
        return self._channel

    def connect(self) -> HubChannel:
        """Return the connection; enrol first if that was not done yet, or if a token replaces
        a certificate that the hub has refused.

        Raises:
            HubUnavailable: the hub cannot be reached.
            ConfigurationError: there is no token, or nothing to verify the hub with.
            GnomonError: the hub refused the node; the error is the hub's.
        """
        with self._lock:
            if self._identity is None:
                self._identity = self._enrol_first()
            elif self._failure is not None:
                self._recover(self._identity, self._failure)
            try:
                return self._open(self._identity)
            except StorageError:  # the key is damaged
                if not self._has_fresh_token(self._identity):
                    raise
                self._identity = self._enrol()
            return self._open(self._identity)

    def record_success(self) -> None:
        """Record that the hub has accepted the certificate."""
        self._previous = self._failure = None

    def explain_failure(self, error: GnomonError) -> GnomonError:
        """Record that a call failed; return the error, and say if the certificate is the cause."""
        with self._lock:
            self._failure = error
            if self._previous is not None and self._identity is not None:
                # The new certificate has not worked yet: the other one is tried next.
                self._identity, self._previous = self._previous, self._identity
                self._close()
            if not isinstance(error, HubUnavailable) or self._identity is None:
                return error
            # A hub that judges by X.509 closes the connection without a word.
            end = x509.load_pem_x509_certificate(self._identity.certificate).not_valid_after_utc
        if end > datetime.now(UTC):
            return error
        return HubUnavailable(
            f"{error}; the certificate expired at {end:%Y-%m-%d %H:%M} UTC: make a token for "
            f"{self._settings.name!r} at the hub, and start with it"
        )

    def renew_if_due(self, now: datetime) -> None:
        """Renew the certificate if two thirds of its validity have passed.

        `now` is the hub's time, since a device's own clock may be wrong. A failure is logged, and
        tried again at the next call.
        """
        with self._lock:
            if self._identity is not None and self._identity.is_due_for_renewal(now):
                self._renew(self._identity)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._close()

    def _open(self, identity: Identity) -> HubChannel:
        if self._channel is None:
            self._channel = HubChannel(self._settings.hub, identity, key_pem(self._folder.key()))
        return self._channel

    def _close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _recover(self, identity: Identity, failure: GnomonError) -> None:
        """Replace a certificate that the hub has refused, if that is possible."""
        self._failure = None
        if any(detail.get("certificate") == "expired" for detail in failure.details):
            self._renew(identity)
        elif self._has_fresh_token(identity):
            try:
                renewed = self._enrol()
            except HubUnavailable:
                return
            except GnomonError as error:
                self._used_tokens.add(_hash(self._settings.token))
                _log.warning("the token does not replace the certificate: %s", error)
                return
            self._replace(renewed, identity)

    def _has_fresh_token(self, identity: Identity) -> bool:
        token = self._settings.token
        return bool(token) and _hash(token) not in {identity.token_hash, *self._used_tokens}

    def _renew(self, identity: Identity) -> None:
        try:
            response = self._open(identity).renew(self._make_request(""))
            self._replace(self._save(response, identity.token_hash), identity)
        except GnomonError as error:
            _log.warning("the certificate could not be renewed: %s", error)

    def _replace(self, identity: Identity, former: Identity) -> None:
        """Use another certificate from the next call on; keep the former one until it has worked.

        A running call ends on the old connection.
        """
        self._identity, self._previous = identity, former
        self._channel = None

    def _save(self, response: hub_pb2.EnrollResponse, token_hash: str) -> Identity:
        limited = [PackageKey(one.key, one.models) for one in response.limited_keys]
        self._trust_file.save([*map(PackageKey, response.trusted_keys), *limited])
        return self._folder.save(response, token_hash)

    def _enrol_first(self) -> Identity:
        self.refusal = None
        try:
            return self._enrol()
        except _FINAL as error:
            self.refusal = error
            raise

    def _enrol(self) -> Identity:
        settings = self._settings
        address = enrolment_address(settings)
        if not settings.token:
            if damage := self._folder.damage:
                raise ConfigurationError(
                    f"{damage}; make a token for {settings.name!r} at the hub, and start with it"
                )
            raise ConfigurationError(
                f"node {settings.name!r} has not enrolled at {address} yet; give it a token"
            )
        self._folder.replace_unusable_key()
        response = enrol(address, self._read_authority(address), self._make_request(settings.token))
        _log.info("node %s enrolled at %s", settings.name, address)
        return self._save(response, _hash(settings.token))

    def _read_authority(self, address: str) -> bytes:
        settings = self._settings
        if settings.authority_file is not None:
            return read_authority(settings.authority_file)
        if settings.authority_fingerprint:
            return fetch_authority(address, settings.authority_fingerprint)
        raise ConfigurationError(
            "to verify the hub, give authority_file (its authority.pem) or authority_fingerprint"
        )

    def _make_request(self, token: str) -> hub_pb2.EnrollRequest:
        request = self._folder.request(self._settings.name)
        return hub_pb2.EnrollRequest(token=token, certificate_request=request, facts=self._facts)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def read_hub_time(response: hub_pb2.ExchangeResponse) -> datetime:
    """Return the hub's time from its response."""
    return datetime.fromtimestamp(response.hub_time_unix_ms / 1000, UTC)
