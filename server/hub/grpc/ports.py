"""The hub's two gRPC ports: one without client certificates, one that requires them."""

from concurrent import futures
from dataclasses import dataclass
from typing import Any

import grpc

from gnomon.proto import hub_pb2_grpc
from gnomon.runtime.errors import ConfigurationError
from gnomon.server.hub.access.authority import Authority
from gnomon.server.hub.access.enrolled import EnrolledCallers
from gnomon.server.hub.grpc.call_limits import CallLimits
from gnomon.server.hub.grpc.enrolment_servicer import EnrolmentServicer
from gnomon.server.hub.grpc.interceptor import AccessInterceptor
from gnomon.server.hub.grpc.registry_servicer import RegistryServicer
from gnomon.server.hub.grpc.sync_servicer import SyncServicer
from gnomon.server.hub.ingest.quotas import Quotas
from gnomon.server.hub.settings import HubSettings
from gnomon.server.rest.certificates import HandshakeLog
from gnomon.server.rest.handshake_watch import HandshakeWatch

_MESSAGE_BYTES = 8 << 20
_OPEN_MESSAGE_BYTES = 64 << 10

#: Threads of the port that requires no certificate, calls of one address there, and how long a
#: message may take.
_OPEN_THREADS = 32
OPEN_CALLS = 8
OPEN_MESSAGE_SECONDS = 10.0

#: Calls of one certificate, and how long a message may take, on a slow link too.
KNOWN_CALLS = 6
KNOWN_MESSAGE_SECONDS = 150.0

#: How many calls wait for a thread before the next is rejected as overloaded.
_WAITING_FACTOR = 8


@dataclass(frozen=True)
class Servicers:
    """The gRPC servicers."""

    enrolment: EnrolmentServicer
    registry: RegistryServicer
    sync: SyncServicer


class GrpcPorts:
    """Both ports; bound when made, open from `start` to `stop`."""

    def __init__(
        self,
        settings: HubSettings,
        authority: Authority,
        enrolled: EnrolledCallers,
        servicers: Servicers,
        quotas: Quotas,
    ) -> None:
        """Bind both ports.

        Args:
            settings: of the hub.
            authority: issues the ports' certificate, and those of the callers.
            enrolled: the callers of the port that requires certificates.
            servicers: what answers.
            quotas: of the callers.

        Raises:
            ConfigurationError: if a port is taken.
        """
        key, chain = authority.issue_server((settings.host, *settings.names))
        #: What watches the handshakes of each port.
        self.watches = watches = {
            name: HandshakeWatch(HandshakeLog(f"hub, {name}")) for name in ("enrolment", "sync")
        }
        unauthenticated = _credentials(watches["enrolment"], [(key, chain)])
        known = _credentials(watches["sync"], [(key, chain)], authority.certificate_pem)
        self._limits = (
            CallLimits(OPEN_CALLS, OPEN_MESSAGE_SECONDS),
            CallLimits(KNOWN_CALLS, KNOWN_MESSAGE_SECONDS),
        )
        self._unauthenticated = _server(
            AccessInterceptor(
                enrolled, self._limits[0], quotas, watches["enrolment"], unauthenticated=True
            ),
            _OPEN_THREADS,
            _OPEN_MESSAGE_BYTES,
        )
        self._known = _server(
            AccessInterceptor(
                enrolled, self._limits[1], quotas, watches["sync"], unauthenticated=False
            ),
            settings.grpc_threads,
            _MESSAGE_BYTES,
        )
        add: Any = hub_pb2_grpc  # generated, untyped
        add.add_EnrolmentServicer_to_server(servicers.enrolment, self._unauthenticated)
        add.add_EnrolmentServicer_to_server(servicers.enrolment, self._known)
        add.add_SyncServicer_to_server(servicers.sync, self._known)
        add.add_RegistryServicer_to_server(servicers.registry, self._known)
        self.enrolment_port = _bind(
            self._unauthenticated, settings.host, settings.enrolment_port, unauthenticated
        )
        self.sync_port = _bind(self._known, settings.host, settings.sync_port, known)

    def start(self) -> None:
        """Open both ports."""
        for limits in self._limits:
            limits.start()
        self._unauthenticated.start()
        self._known.start()

    def stop(self, grace_seconds: float) -> None:
        """Take no new calls, let those under way end, and close."""
        for stopped in [
            server.stop(grace_seconds) for server in (self._unauthenticated, self._known)
        ]:
            stopped.wait()
        for limits in self._limits:
            limits.stop()


def _credentials(
    watch: HandshakeWatch, pairs: list[tuple[bytes, bytes]], clients: bytes | None = None
) -> grpc.ServerCredentials:
    """Return credentials of a port, which ask for its certificate at each handshake."""

    def begin() -> None:
        watch.begin()

    return grpc.dynamic_ssl_server_credentials(
        grpc.ssl_server_certificate_configuration(pairs, clients),
        begin,
        require_client_authentication=clients is not None,
    )


def _server(gate: AccessInterceptor, threads: int, message_bytes: int) -> grpc.Server:
    return grpc.server(
        futures.ThreadPoolExecutor(threads, thread_name_prefix="hub-grpc"),
        interceptors=(gate,),
        maximum_concurrent_rpcs=threads * _WAITING_FACTOR,
        options=(
            ("grpc.max_receive_message_length", message_bytes),
            # Bounds clients that open and reset streams as fast as they can.
            ("grpc.max_concurrent_streams", 64),
            # A second hub on this port should fail, not share it.
            ("grpc.so_reuseport", 0),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ),
    )


def _bind(server: grpc.Server, host: str, port: int, credentials: grpc.ServerCredentials) -> int:
    shown = f"[{host}]" if ":" in host else host
    try:
        return int(server.add_secure_port(f"{shown}:{port}", credentials))
    except RuntimeError as error:
        raise ConfigurationError(f"{shown}:{port} cannot be listened on; is it in use?") from error
