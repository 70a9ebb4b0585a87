"""The hub as a process: starts all its parts, says where it listens, runs until told to stop."""

import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType

import structlog
import uvicorn

from gnomon.runtime.errors import ConfigurationError, NotReady
from gnomon.server.hub.authority import Authority
from gnomon.server.hub.catalogue import Catalogue
from gnomon.server.hub.enrolment import Enrolment, EnrolmentServicer
from gnomon.server.hub.grpc_doors import GrpcDoors, Servicers
from gnomon.server.hub.loop import Loop
from gnomon.server.hub.registry import Registry, RegistryServicer
from gnomon.server.hub.rest.app import create_app
from gnomon.server.hub.services import Services
from gnomon.server.hub.settings import HubAddresses, HubSettings
from gnomon.server.hub.store.blobs import Blobs
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.sync import SyncServicer
from gnomon.server.hub.telemetry import Telemetry

_log = structlog.get_logger(__name__)

#: How long calls under way may take to end.
DRAIN_SECONDS = 5.0
_START_SECONDS = 30.0


class Hub:
    """One hub, over the state in its data folder; it keeps nothing of its own."""

    def __init__(self, settings: HubSettings) -> None:
        """Open the state, bind all ports.

        Raises:
            ConfigurationError: where the folder cannot be used or a port is taken.
        """
        folder = settings.data_folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigurationError(f"data folder {folder} cannot be made: {error}") from error
        authority = Authority.in_folder(folder)
        database = Database(settings.database_url or f"sqlite:///{folder.resolve() / 'hub.db'}")
        blobs = Blobs.in_folder(database, folder / "blobs")
        catalogue = Catalogue()
        self._socket = _listen(settings.host, settings.rest_port)
        enrolment = Enrolment(database, authority, settings.certificate_days)
        telemetry = Telemetry(database, catalogue)
        servicers = Servicers(
            EnrolmentServicer(enrolment),
            RegistryServicer(Registry(database, blobs, folder / "staging")),
            SyncServicer(database, blobs, telemetry, settings.node_call_ms),
        )
        self._doors = GrpcDoors(settings, authority, database, servicers)
        self.addresses = self._addresses(settings, authority)
        self.services = Services(settings, database, blobs, authority, self.addresses, catalogue)
        self._loop = Loop(database, settings.tick_seconds)
        self._web = uvicorn.Server(
            uvicorn.Config(
                create_app(self.services),
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=int(DRAIN_SECONDS),
            )
        )
        self._web_thread = threading.Thread(
            target=self._web.run, args=([self._socket],), name="hub-rest", daemon=True
        )

    def start(self) -> None:
        """Open all ports and begin to tick.

        Raises:
            NotReady: where the web server does not come up.
        """
        self._doors.start()
        self._web_thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._web.started:
            if not self._web_thread.is_alive() or time.monotonic() > deadline:
                raise NotReady("the hub's web server did not start")
            time.sleep(0.005)
        self._loop.start()
        _log.info("hub_started", rest=self.addresses.rest, sync=self.addresses.sync)

    def stop(self) -> None:
        """Take no new calls, let those under way end, and close the state."""
        self._web.should_exit = True
        self._doors.stop(DRAIN_SECONDS)
        self._web_thread.join(2 * DRAIN_SECONDS)
        self._loop.stop()
        self.services.database.close()
        self._socket.close()
        _log.info("hub_stopped")

    def _addresses(self, settings: HubSettings, authority: Authority) -> HubAddresses:
        # What nodes are told: a name that others can reach, where one was given.
        host = settings.names[0] if settings.names else settings.host
        shown = f"[{host}]" if ":" in host else host
        rest_host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return HubAddresses(
            rest=f"http://{rest_host}:{self._socket.getsockname()[1]}",
            enrolment=f"{shown}:{self._doors.enrolment_port}",
            sync=f"{shown}:{self._doors.sync_port}",
            fingerprint=authority.fingerprint,
        )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    # A hub that was killed must come up on its port again, at once.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"{host}:{port} cannot be listened on: {error}") from error
    listener.listen(128)
    return listener


def run_hub(settings: HubSettings, ready: Callable[[HubAddresses], None]) -> None:
    """Run a hub until SIGTERM or SIGINT; must be called from the main thread.

    Args:
        settings: how it runs.
        ready: called once with the addresses, when all of them answer.

    Raises:
        ConfigurationError: where the folder cannot be used or a port is taken.
    """
    told_to_stop = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        told_to_stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    hub = Hub(settings)
    hub.start()
    ready(hub.addresses)
    told_to_stop.wait()
    hub.stop()
