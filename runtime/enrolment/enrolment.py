"""A node's enrolment at its hub: certificate, connection, renewal in time."""

import logging
import threading
from collections.abc import Mapping
from datetime import UTC, datetime

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
from gnomon.runtime.errors import ConfigurationError, GnomonError, StorageError
from gnomon.runtime.packages.signing import TrustStore

_log = logging.getLogger(__name__)


class Enrolment:
    """Holds identity and connection. Neither an expired nor a failed one stops a prediction."""

    def __init__(self, settings: EnrolmentSettings, facts: Mapping[str, str]) -> None:
        self._settings = settings
        self._facts = dict(facts)
        self._folder = IdentityFolder(settings.data_folder / "identity")
        self._lock = threading.Lock()
        self._channel: HubChannel | None = None
        self._identity: Identity | None = None
        try:
            self._identity = self._folder.load()
        except StorageError as error:
            _log.error("the identity cannot be read, so the node must enrol again: %s", error)

    @property
    def is_enrolled(self) -> bool:
        """Whether the node has a certificate."""
        return self._identity is not None

    @property
    def trust(self) -> TrustStore:
        """Return the keys whose packages this node accepts; none before it has enrolled."""
        return self._identity.trust if self._identity else TrustStore(())

    @property
    def channel(self) -> HubChannel | None:
        """Return the connection, or None."""
        return self._channel

    def connect(self) -> HubChannel:
        """Return the connection; enrol first if that was not done yet.

        Raises:
            HubUnavailable: the hub cannot be reached.
            ConfigurationError: there is no token, or nothing to verify the hub with.
            GnomonError: the hub refused the node; the error is the hub's.
        """
        with self._lock:
            if self._identity is None:
                self._identity = self._enrol()
            if self._channel is None:
                key = key_pem(self._folder.key())
                self._channel = HubChannel(self._settings.hub, self._identity, key)
            return self._channel

    def renew_if_due(self, now: datetime) -> None:
        """Renew the certificate if two thirds of its validity have passed.

        `now` is the hub's time, since a device's own clock may be wrong. A failure is logged, and
        tried again at the next call.
        """
        identity, channel = self._identity, self._channel
        if identity is None or channel is None or not identity.is_due_for_renewal(now):
            return
        try:
            self._identity = self._folder.save(channel.renew(self._make_request("")))
        except GnomonError as error:
            _log.warning("the certificate could not be renewed: %s", error)
            return
        with self._lock:
            # A running call ends on the old connection; the next one uses the new connection.
            self._channel = HubChannel(
                self._settings.hub, self._identity, key_pem(self._folder.key())
            )

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._channel is not None:
                self._channel.close()
                self._channel = None

    def _enrol(self) -> Identity:
        settings = self._settings
        address = enrolment_address(settings)
        if not settings.token:
            raise ConfigurationError(
                f"node {settings.name!r} has not enrolled at {address} yet; give it a token"
            )
        response = enrol(address, self._read_authority(address), self._make_request(settings.token))
        _log.info("node %s enrolled at %s", settings.name, address)
        return self._folder.save(response)

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


def read_hub_time(response: hub_pb2.ExchangeResponse) -> datetime:
    """Return the hub's time from its response."""
    return datetime.fromtimestamp(response.hub_time_unix_ms / 1000, UTC)
