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

    With a `socket_path`, gRPC opens there instead, for processes of the same user. A connection
    older than `connection_age_seconds`, a tenth more or less, is closed once its calls have ended.
    A connection that is silent for `keepalive_seconds` is pinged. 0 switches either off.

    Beyond loopback, the frontends open only with authentication of callers: by a certificate of
    `client_authority_file`, or by a key of `keys_file` or a token whose issuer's keys are in
    `jwt_file`. If both kinds are configured, callers need both.

    A limit of 0 is no limit; `burst` of 0 is the requests of one second. `concurrent_requests` is
    for one caller and model, `total_requests` for all calls together. With `share_port`, a server
    takes a port on which another server of this user still listens with `share_port`; new
    connections go to either. With `model_control` "explicit", the callers in `control_callers` may
    load and unload models; without authentication, all callers on this machine may.

    Raises:
        ValueError: a number is out of range, or only some files of a group are given.
    """

    host: str = "127.0.0.1"
    port: int = 8500
    socket_path: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    client_authority_file: Path | None = None
    message_bytes: int = 16 << 20
    concurrent_streams: int = 64
    threads: int = 4
    loops: int = 0
    connection_age_seconds: float = 0.0
    keepalive_seconds: float = 60.0
    keys_file: Path | None = None
    jwt_file: Path | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    requests_per_second: float = 0.0
    burst: int = 0
    concurrent_requests: int = 0
    total_requests: int = 256
    slow_seconds: float = 1.0
    traces: bool = False
    share_port: bool = False
    model_control: str = "none"
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
    """The frontends of a server, and how it shuts down.

    `frontend` is the one for gRPC: "native", "grpcio", or "auto" (native if it can serve here).
    REST opens on `rest_port`; -1: not at all. On SIGTERM or SIGINT the server reports that it is
    not ready, and still takes calls for `notice_seconds`, so that load balancers notice. Then it
    takes no more calls, and lets running ones finish for `grace_seconds`.

    `switch_interval_seconds` is `sys.setswitchinterval` of the process: how long a Python thread
    may keep the interpreter while another one waits. A shorter interval answers Python's calls
    sooner if other threads are busy, and costs more switches.
    """

    frontend: str = "auto"
    #: Deprecated name of `frontend`.
    door: str = ""
    rest_port: int = 8080
    switch_interval_seconds: float = 0.005
    notice_seconds: float = 1.0
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
