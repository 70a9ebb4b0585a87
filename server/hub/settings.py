"""The hub's settings and, once it runs, its addresses."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from gnomon.runtime.errors import ConfigurationError
from gnomon.server.hub.oidc_settings import OidcSettings
from gnomon.server.rest.certificates import TlsFiles, combine_files
from gnomon.server.rest.hosts import is_loopback

#: Settings that say for how many days records are kept.
_KEPT = tuple(
    f"keep_{kind}_days" for kind in ("window", "label", "sample", "event", "alert", "delivery")
)
#: Settings that say how much one node, builder or principal may send.
_QUOTAS = (
    "quota_calls_per_minute",
    "quota_rest_calls_per_minute",
    *(
        f"quota_{what}_per_day"
        for what in ("telemetry_bytes", "windows", "labels", "samples", "blob_bytes")
    ),
)


@dataclass(frozen=True)
class HubSettings:
    """How one hub process runs. A port of 0 takes any that is free.

    Raises:
        ValueError: if a figure is out of range; the message names it.
    """

    #: Folder of the database, the authority and, if not elsewhere, content; one process at a time.
    data_folder: Path = Path("hub-data")
    #: Address of all ports; beyond loopback REST opens only with TLS or behind a proxy with TLS.
    host: str = "127.0.0.1"
    #: REST and the web page.
    rest_port: int = 8600
    #: gRPC for nodes and builders that trade a token for a certificate.
    enrolment_port: int = 8601
    #: gRPC for enrolled nodes and builders.
    sync_port: int = 8602
    #: A SQLAlchemy URL; empty: SQLite in the data folder.
    database_url: str = ""
    #: Where packages' content lies: s3://bucket/prefix; empty: in the data folder.
    blob_url: str = ""
    #: Host names and addresses under which others reach the hub, besides localhost.
    names: tuple[str, ...] = ()
    #: TLS of REST and the page; with an authority, callers need a certificate besides their key.
    certificate_file: Path | None = None
    key_file: Path | None = None
    client_authority_file: Path | None = None
    #: Whether a proxy in front of REST and the page speaks TLS, so that pages are https.
    behind_tls_proxy: bool = False
    #: How often alerts, rollouts and webhooks are looked at.
    tick_seconds: float = 1.0
    #: How long a node waits between two calls.
    node_call_ms: int = 5_000
    #: A node that has not called for so long, and for three calls, raises the alert `node_silent`;
    #: 0: none does.
    node_silent_seconds: int = 900
    #: For how many days a certificate of a node or builder holds; it is renewed after two thirds.
    certificate_days: float = 30.0
    #: Whether versions may be placed and rolled out that have not passed a test deployment.
    promote_untested: bool = False
    #: Models, also by patterns such as credit-*, of which no further package may be of a harmless
    #: risk tier, whatever its builder says: it needs a recorded build, and approvals.
    strict_models: tuple[str, ...] = ()
    #: Issuer of OpenID Connect whose users may sign in to the web page, by its URL; empty: none.
    oidc_issuer: str = ""
    #: Name of this hub as a client of the issuer.
    oidc_client_id: str = ""
    #: File of the client's secret; none: a public client.
    oidc_client_secret_file: Path | None = None
    #: Claim that names a user of the issuer.
    oidc_name_claim: str = "sub"
    #: Claim that lists a user's groups; dots lead into objects: realm_access.roles.
    oidc_groups_claim: str = "groups"
    #: What groups may do: GROUP=ROLE, or GROUP=ROLE:MODELS:ENVIRONMENTS with patterns.
    oidc_roles: tuple[str, ...] = ()
    #: Networks to which webhooks may go besides loopback and public addresses: 10.1.0.0/16, …
    webhook_networks: tuple[str, ...] = ()
    #: Calls of nodes and builders that are answered at a time.
    grpc_threads: int = 64
    #: Calls of one node or builder in a minute; 0, as in all quotas: any number.
    quota_calls_per_minute: int = 6_000
    #: Calls of REST and pages by one principal in a minute, whatever its keys and sessions. The
    #: hub's own user is not counted.
    quota_rest_calls_per_minute: int = 6_000
    #: Bytes of telemetry of one node in a day.
    quota_telemetry_bytes_per_day: int = 4 << 30
    #: Windows of one node in a day.
    quota_windows_per_day: int = 1_000_000
    #: Labels of one node in a day.
    quota_labels_per_day: int = 10_000_000
    #: Sampled predictions, examples of refused requests, and events of one node in a day.
    quota_samples_per_day: int = 10_000_000
    #: Bytes of content that one builder uploads in a day.
    quota_blob_bytes_per_day: int = 100 << 30
    #: For how many days after they arrived windows are kept; 0: for ever. Totals stay.
    keep_window_days: int = 400
    #: For how many days labels and sampled predictions are kept; 0: for ever. Errors by day stay.
    keep_label_days: int = 400
    #: For how many days examples of refused requests are kept; 0: for ever.
    keep_sample_days: int = 90
    #: For how many days events of nodes are kept; 0: for ever.
    keep_event_days: int = 90
    #: For how many days alerts are kept after they were closed; 0: for ever.
    keep_alert_days: int = 400
    #: For how many days deliveries of webhooks are kept after they ended; 0: for ever.
    keep_delivery_days: int = 90
    #: For how many days content is kept that no package names, such as of a push that was never
    #: finished; 0: for ever.
    keep_unnamed_blob_days: int = 7

    def __post_init__(self) -> None:
        for name in ("rest_port", "enrolment_port", "sync_port"):
            if not 0 <= getattr(self, name) <= 65_535:
                raise ValueError(f"{name} should be 0 to 65535, got {getattr(self, name)}")
        for name in ("tick_seconds", "node_call_ms", "certificate_days", "grpc_threads"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} should be above 0, got {getattr(self, name)}")
        for name in ("node_silent_seconds", "keep_unnamed_blob_days", *_KEPT, *_QUOTAS):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} should be at least 0, got {getattr(self, name)}")
        _ = self.tls_files, self.networks, self.oidc

    @property
    def scheme(self) -> str:
        """Return the scheme of the page as browsers see it."""
        return "https" if self.behind_tls_proxy or self.certificate_file else "http"

    @property
    def tls_files(self) -> TlsFiles | None:
        """Return the files of certificate, key and clients' authority; None in clear text."""
        return combine_files(self.certificate_file, self.key_file, self.client_authority_file)

    @property
    def oidc(self) -> OidcSettings | None:
        """Return how users of an issuer sign in; None: they do not."""
        if not self.oidc_issuer:
            return None
        return OidcSettings(
            self.oidc_issuer,
            self.oidc_client_id,
            self.oidc_client_secret_file,
            self.oidc_name_claim,
            self.oidc_groups_claim,
            self.oidc_roles,
        )

    @property
    def node_silent_ms(self) -> int:
        """Return how long a node may be silent: three calls at least; 0: for ever."""
        silent_ms = 1_000 * self.node_silent_seconds
        return max(silent_ms, 3 * self.node_call_ms) if silent_ms else 0

    @property
    def kept_days(self) -> dict[str, int]:
        """Return for how many days each kind of record is kept, by its name; 0: for ever."""
        return {name.split("_")[1]: getattr(self, name) for name in _KEPT}

    @property
    def quotas(self) -> dict[str, int]:
        """Return how much one node or builder may send, by the setting's name; 0: anything."""
        return {name: getattr(self, name) for name in _QUOTAS}

    def check_reach(self) -> None:
        """Check that keys and sessions leave this machine by TLS only.

        Raises:
            ConfigurationError: they would not.
        """
        if is_loopback(self.host) or self.certificate_file or self.behind_tls_proxy:
            return
        raise ConfigurationError(
            f"the hub does not open on {self.host!r} in clear text, since callers show their keys: "
            "give certificate_file and key_file, or behind_tls_proxy if a proxy speaks TLS"
        )

    @property
    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """Return the networks of `webhook_networks`."""
        return tuple(ipaddress.ip_network(one) for one in self.webhook_networks)


@dataclass(frozen=True)
class HubAddresses:
    """Where a running hub listens; what a node needs to enrol, besides a token."""

    rest: str  # http://host:port
    enrolment: str  # host:port
    sync: str  # host:port
    fingerprint: str  # SHA-256 of the authority's certificate, hex

    @property
    def ports(self) -> frozenset[int]:
        """Return all ports."""
        addresses = (self.rest, self.enrolment, self.sync)
        return frozenset(int(address.rpartition(":")[2]) for address in addresses)
