"""The hub as a process: starts all its parts, says where it listens, runs until it is stopped."""

import ipaddress
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import structlog

from gnomon.runtime.errors import StorageError
from gnomon.runtime.local_hub import HubRecord, LocalHub
from gnomon.runtime.lock import FolderLock
from gnomon.runtime.stop_signals import StopSignals
from gnomon.server.hub.access import fleet_key, sessions
from gnomon.server.hub.access.authority import Authority
from gnomon.server.hub.access.callers import Callers
from gnomon.server.hub.access.certificate_issuer import CertificateIssuer
from gnomon.server.hub.access.enrolled import EnrolledCallers
from gnomon.server.hub.access.local_key import LocalKey
from gnomon.server.hub.access.oidc import OidcSignIn
from gnomon.server.hub.access.principals import LOCAL
from gnomon.server.hub.application import create_app
from gnomon.server.hub.fleet.unchanged_exchanges import UnchangedExchanges
from gnomon.server.hub.fleet.unknown_nodes import UnknownNodes
from gnomon.server.hub.grpc.enrolment_servicer import EnrolmentServicer
from gnomon.server.hub.grpc.ports import GrpcPorts, Servicers
from gnomon.server.hub.grpc.registry_servicer import RegistryServicer
from gnomon.server.hub.grpc.sync_servicer import SyncServicer
from gnomon.server.hub.ingest.quotas import Quotas
from gnomon.server.hub.ingest.telemetry import Telemetry
from gnomon.server.hub.monitoring.audit_findings import AuditFindings
from gnomon.server.hub.monitoring.damaged_content import DamageWatch
from gnomon.server.hub.monitoring.retention import Retention
from gnomon.server.hub.monitoring.silent_nodes import SilenceWatch
from gnomon.server.hub.services import Services
from gnomon.server.hub.settings import HubAddresses, HubSettings
from gnomon.server.hub.state import (
    OTHERS,
    has_state,
    naming_disk,
    open_blobs,
    open_database,
    private_folder,
)
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.decisions import Decisions
from gnomon.server.hub.task_loop import TASKS, TaskLoop
from gnomon.server.hub.trust.repository import TrustRepository
from gnomon.server.hub.trust.signing_keys import SigningKeys
from gnomon.server.hub.versions.catalogue import Catalogue
from gnomon.server.hub.versions.registry import Registry
from gnomon.server.hub.versions.sweeping import Sweeper
from gnomon.server.hub.webhooks import targets
from gnomon.server.hub.webhooks.deliver import Deliverer
from gnomon.server.hub.webhooks.signing_secrets import SigningSecrets
from gnomon.server.rest.listening import listen
from gnomon.server.rest.port import RestPort
from gnomon.server.rest.tls import RestTls

_log = structlog.get_logger(__name__)

#: How long calls under way may take to end.
DRAIN_SECONDS = 5.0


class Hub:
    """One hub process; all of its state is in the data folder or the database."""

    def __init__(self, settings: HubSettings) -> None:
        """Open the state, bind all ports.

        Raises:
            ConfigurationError: if the folder cannot be made, a port is taken, or REST would be
                reached in clear text.
            StorageError: if another process uses the folder, or its disk is full.
        """
        settings.check_reach()
        folder = private_folder(settings.data_folder)
        with naming_disk(folder), ExitStack() as opened:
            lock = FolderLock(folder)
            opened.callback(lock.release)
            database = open_database(settings, must_exist=has_state(folder), may_upgrade=True)
            opened.callback(database.close)
            authority = fleet_key.load(database, folder)
            local_key = _local_key(folder, database)
            blobs = open_blobs(settings, database)
            trust = TrustRepository(database, SigningKeys(folder, authority))
            catalogue = Catalogue()
            quotas, decisions = Quotas(database, settings.quotas), Decisions(database)
            self._unknown_nodes = UnknownNodes()
            self._tls = RestTls(settings.tls_files)
            self._rest = RestPort(listen(settings.host, settings.rest_port))
            opened.callback(self._rest.stop, 2 * DRAIN_SECONDS)
            servicers = Servicers(
                EnrolmentServicer(
                    CertificateIssuer(database, authority, settings.certificate_days)
                ),
                RegistryServicer(
                    database,
                    Registry(database, blobs, folder / "staging", settings.strict_models),
                    quotas,
                ),
                SyncServicer(
                    database,
                    blobs,
                    Telemetry(database, catalogue, quotas),
                    trust,
                    UnchangedExchanges(database, decisions, settings.node_call_ms),
                ),
            )
            self._grpc = GrpcPorts(
                settings,
                authority,
                EnrolledCallers(database, decisions, self._unknown_nodes.note),
                servicers,
                quotas,
            )
            opened.callback(self._grpc.stop, DRAIN_SECONDS)
            self.addresses = self._addresses(settings, authority)
            self.services = Services(
                settings,
                database,
                blobs,
                authority,
                self.addresses,
                Callers(database, local_key),
                SigningSecrets(authority.derive_secret("gnomon webhooks")),
                trust,
                quotas,
                catalogue,
                OidcSignIn(settings.oidc) if settings.oidc else None,
            )
            targets.seal_secrets(database, self.services.webhook_secrets)
            _record_address(opened, self.addresses.rest, local_key, settings)
            self._opened = opened.pop_all()

    def start(self) -> None:
        """Open all ports and begin to tick.

        Raises:
            ConfigurationError: if a TLS file cannot be used.
            NotReady: if the web server does not come up.
        """
        self._grpc.start()
        settings = self.services.settings
        self._rest.start(
            create_app(self.services), DRAIN_SECONDS, on_tls=self._tls.follow, **self._tls.options
        )
        self._opened.callback(self._tls.stop)
        # In separate threads: a slow webhook target delays no rollout.
        deliverer = Deliverer(
            self.services.webhook_secrets,
            settings.networks,
            own_ports=self.addresses.ports,
            page=self.addresses.rest,
        )
        silence = SilenceWatch(settings.node_silent_ms)
        retention = Retention(settings.kept_days)
        sweeper = Sweeper(self.services.blobs, settings.keep_unnamed_blob_days)
        for tasks in (
            (
                *TASKS,
                silence.run_once,
                DamageWatch().run_once,
                AuditFindings().run_once,
                self._unknown_nodes.run_once,
            ),
            (deliverer.run_once,),
            (retention.run_once, sweeper.run_once),
        ):
            loop = TaskLoop(self.services.database, settings.tick_seconds, tasks)
            loop.start()
            self._opened.callback(loop.stop)
        self._opened.callback(retention.stop)
        _log.info("hub_started", rest=self.addresses.rest, sync=self.addresses.sync)

    def stop(self) -> None:
        """End the loop, take no new calls, let those under way end, and close the state."""
        self._opened.close()
        _log.info("hub_stopped")

    def _addresses(self, settings: HubSettings, authority: Authority) -> HubAddresses:
        # What nodes get: a name that other machines can reach, if one was given.
        host = _in_address(settings.names[0] if settings.names else settings.host)
        scheme = "https" if settings.tls_files else "http"
        return HubAddresses(
            rest=f"{scheme}://{_in_address(_reachable(settings.host))}:{self._rest.port}",
            enrolment=f"{host}:{self._grpc.enrolment_port}",
            sync=f"{host}:{self._grpc.sync_port}",
            fingerprint=authority.fingerprint,
        )


def _local_key(folder: Path, database: Database) -> LocalKey:
    """Return the key of local callers; a new key ends the sessions that the old one began."""
    key = LocalKey(folder)
    if key.is_new:
        sessions.end_all(database, LOCAL.name)
    return key


def _record_address(opened: ExitStack, rest: str, key: LocalKey, settings: HubSettings) -> None:
    """Let programs of the same user find the key of this hub by its address."""
    certificate = settings.certificate_file
    hub = LocalHub(
        address=rest,
        key_file=str(key.file),
        certificate_file=str(certificate.resolve()) if certificate else "",
    )
    try:
        record = HubRecord(hub)
    except StorageError as error:
        _log.warning("hub_not_recorded", reason=str(error), cure="commands take --api-key-file")
        return
    opened.callback(record.remove)


def _reachable(host: str) -> str:
    """Return the address by which this machine reaches a port bound to `host`."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def run_hub(settings: HubSettings, ready: Callable[[HubAddresses], None]) -> None:
    """Run a hub until SIGTERM or SIGINT; must be called from the main thread.

    Args:
        settings: how it runs.
        ready: called once, in this thread, with the addresses when all of them answer.

    Raises:
        ConfigurationError: if the folder cannot be made or a port is taken.
        StorageError: if another process uses the folder.
    """
    # Whatever this process writes is for its user alone.
    os.umask(OTHERS)
    with StopSignals() as told_to_stop:
        hub = Hub(settings)
        hub.start()
        ready(hub.addresses)
        told_to_stop.wait()
        hub.stop()
