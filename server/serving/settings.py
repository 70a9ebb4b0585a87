"""Settings of a server's frontends: addresses, security, limits, shutdown."""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

from gnomon.runtime.errors import ConfigurationError
from gnomon.server.rest.certificates import TlsFiles, combine_files
from gnomon.server.rest.hosts import is_loopback
from gnomon.server.serving.rate_limits import RateLimits
from gnomon.server.serving.token_settings import TokenSettings

_log = logging.getLogger(__name__)

#: The choices of a frontend for gRPC.
FRONTENDS = ("auto", "native", "grpcio")
#: Whether clients may load and unload models: none, or those that the operator names.
MODEL_CONTROLS = ("none", "explicit")
#: A port of this value: the frontend does not open.
NO_PORT = -1
#: Shortest and longest switch interval; below, a busy process would only switch threads.
_SWITCH_SECONDS = (0.000_01, 1.0)
_LIMITS = (
    "loops",
    "connection_age_seconds",
    "keepalive_seconds",
    "requests_per_second",
    "burst",
    "concurrent_requests",
    "total_requests",
    "slow_seconds",
)


@dataclass(frozen=True, kw_only=True)
class FrontendSettings:
    """Address, security and limits of a frontend. A port of 0 takes any free one.

    Beyond loopback, the frontends open only with authentication of callers: by a certificate of
    `client_authority_file`, or by a key of `keys_file` or a token whose issuer's keys are in
    `jwt_file`. If both kinds are configured, callers need both.

    Raises:
        ValueError: a number is out of range, or only some files of a group are given.
    """

    #: Address of both frontends. Beyond loopback they open only with authentication of callers.
    host: str = "127.0.0.1"
    #: gRPC; 0: any free port.
    port: int = 8500
    #: gRPC opens on this socket in the file system instead, for processes of the same user.
    socket_path: Path | None = None
    #: TLS, for both frontends.
    certificate_file: Path | None = None
    key_file: Path | None = None
    #: Callers need a certificate of this authority.
    client_authority_file: Path | None = None
    #: The longest request.
    message_bytes: int = 16 << 20
    #: Calls at once on one gRPC connection.
    concurrent_streams: int = 64
    #: For each frontend, for calls that are too slow for its loop.
    threads: int = 4
    #: Event loops of the native frontend; 0: one for each core that the process may use.
    loops: int = 0
    #: An older gRPC connection, a tenth more or less, is closed once its calls have ended; 0: any
    #: age.
    connection_age_seconds: float = 0.0
    #: A gRPC connection that is silent for this time is pinged, and closed without an answer;
    #: 0: never.
    keepalive_seconds: float = 60.0
    #: Callers need a key of this file, or a token.
    keys_file: Path | None = None
    #: Callers need a token of the issuer with these public keys, or a key; a JWK set (`*.json`) or
    #: PEM.
    jwt_file: Path | None = None
    #: Required `iss` and `aud` of a token; needed with `jwt_file`.
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    #: Accepted signatures: any of RS, PS, ES with 256 to 512, and EdDSA.
    jwt_algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    #: For one caller on one model; 0: no limit.
    requests_per_second: float = 0.0
    #: Requests at once; 0: those of one second.
    burst: int = 0
    #: Running for one caller on one model; 0: no limit.
    concurrent_requests: int = 0
    #: Running for all callers together, at all frontends; 0: no limit.
    total_requests: int = 256
    #: A call that takes longer is logged; 0: none.
    slow_seconds: float = 1.0
    #: Create OpenTelemetry spans; this selects the grpcio frontend.
    traces: bool = False
    #: Share the port with another server of this user that also has `share_port`, so that a new
    #: server can replace an old one; a `socket_path` only at the native frontend.
    share_port: bool = False
    #: Whether clients may load and unload models: `none`, or `explicit`, those of
    #: `control_callers`.
    model_control: str = "none"
    #: The names of those callers; empty: without authentication, all callers on this machine.
    control_callers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port should be 0 to 65535, got {self.port}")
        for name in ("message_bytes", "concurrent_streams", "threads"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} should be above 0, got {getattr(self, name)}")
        for name in _LIMITS:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} should be 0 or above, got {getattr(self, name)}")
        if self.model_control not in MODEL_CONTROLS:
            known = ", ".join(MODEL_CONTROLS)
            raise ValueError(f"model_control should be one of {known}, got {self.model_control!r}")
        _ = self.tls_files
        if not self.jwt_file and (self.jwt_issuer or self.jwt_audience):
            raise ValueError("jwt_issuer and jwt_audience belong to jwt_file; give all three")
        self.tokens  # noqa: B018

    @property
    def limits(self) -> RateLimits:
        """Return the limits of calls."""
        return RateLimits(
            requests_per_second=self.requests_per_second,
            burst=self.burst,
            concurrent_requests=self.concurrent_requests,
            total_requests=self.total_requests,
        )

    @property
    def tls_files(self) -> TlsFiles | None:
        """Return the files of certificate, key and clients' authority; None in clear text."""
        return combine_files(self.certificate_file, self.key_file, self.client_authority_file)

    @property
    def tokens(self) -> TokenSettings | None:
        """Return the checks of tokens; None if tokens are not accepted.

        Raises:
            ConfigurationError: issuer, audience or algorithms are missing or unknown.
        """
        if self.jwt_file is None:
            return None
        return TokenSettings(
            file=self.jwt_file,
            issuer=self.jwt_issuer or "",
            audience=self.jwt_audience or "",
            algorithms=self.jwt_algorithms,
        )

    @property
    def is_grpc_local(self) -> bool:
        """Whether only this machine can reach the gRPC frontend."""
        return self.socket_path is not None or self.is_local

    def check_reach(self) -> None:
        """Check that callers beyond this machine need to authenticate.

        Raises:
            ConfigurationError: they would not.
        """
        if self.is_local or self.client_authority_file or self.keys_file or self.jwt_file:
            return
        raise ConfigurationError(
            f"the frontend does not open on {self.host!r} for callers without a name: give "
            "keys_file or jwt_file, or certificate_file, key_file and client_authority_file, or "
            "use 127.0.0.1 behind a proxy that authenticates"
        )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the frontend."""
        return is_loopback(self.host)


@dataclass(frozen=True, kw_only=True)
class ServeSettings(FrontendSettings):
    """The frontends of a server, and how it shuts down."""

    #: The frontend for gRPC: `native`, `grpcio`, or `auto` (native if it can serve here).
    frontend: str = "auto"
    #: Deprecated name of `frontend`.
    door: str = ""
    #: REST; 0: any free port, -1: none.
    rest_port: int = 8080
    #: How long a Python thread may keep the interpreter while another one waits
    #: (`sys.setswitchinterval`); a shorter interval answers Python's calls sooner if other threads
    #: are busy, and costs more switches.
    switch_interval_seconds: float = 0.005
    #: On SIGTERM: time in which the server reports not ready, but still answers, so that load
    #: balancers notice.
    notice_seconds: float = 1.0
    #: After that: time for running calls to finish.
    grace_seconds: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not NO_PORT <= self.rest_port <= 65_535:
            raise ValueError(f"rest_port should be -1 (none) to 65535, got {self.rest_port}")
        self._apply_deprecated_door()
        if self.frontend not in FRONTENDS:
            raise ValueError(
                f"frontend should be one of {', '.join(FRONTENDS)}, got {self.frontend!r}"
            )
        if not _SWITCH_SECONDS[0] <= self.switch_interval_seconds <= _SWITCH_SECONDS[1]:
            raise ValueError(
                f"switch_interval_seconds should be {_SWITCH_SECONDS[0]} to {_SWITCH_SECONDS[1]}, "
                f"got {self.switch_interval_seconds}"
            )
        for name in ("notice_seconds", "grace_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} should be 0 or above, got {getattr(self, name)}")

    def _apply_deprecated_door(self) -> None:
        """Use the deprecated `door` as `frontend`."""
        if not self.door:
            return
        warning = "the setting 'door' is deprecated; use 'frontend'"
        _log.warning(warning)
        warnings.warn(warning, DeprecationWarning, stacklevel=4)
        if self.frontend not in ("auto", self.door):
            raise ValueError(
                f"'door' is the old name of 'frontend': give one of them, not {self.door!r} and "
                f"{self.frontend!r}"
            )
        object.__setattr__(self, "frontend", self.door)
        object.__setattr__(self, "door", "")
