"""The settings of a node."""

from dataclasses import dataclass
from pathlib import Path

from gnomon.runtime.enrolment.settings import check_hub_address, check_name

_AT_LEAST_0 = ("idle_unload_seconds", "kept_seconds", "memory_budget_bytes", "examination_seconds")


@dataclass(frozen=True, kw_only=True)
class NodeSettings:
    """A node with a hub, or a node that serves the packages in `packages`.

    Raises:
        ValueError: a setting is out of range or contradicts another; the message names it.
    """

    #: The node's name at the hub.
    name: str = "node"
    #: Folder of key, spool and packages; one process at a time.
    data_folder: Path = Path("node-data")
    #: The hub's sync address, `host:port`; empty: no hub.
    hub: str = ""
    #: The hub's enrolment address; empty: the same host, one port below.
    enrolment: str = ""
    #: The one-time token; needed until the node has enrolled. A new one, made for this very name,
    #: replaces a certificate that the hub refuses.
    token: str = ""
    #: The hub's authority (PEM), or the SHA-256 of its certificate in hex: one of them to enrol.
    authority_file: Path | None = None
    authority_fingerprint: str = ""
    #: The root of the hub's signed metadata (JSON); without it, the hub's first one is trusted.
    root_file: Path | None = None
    #: What to serve without a hub: packages, model files, folders of these or of
    #: their versions (NAME/VERSION/model.onnx).
    packages: tuple[Path, ...] = ()
    #: Which versions are loaded and can be requested: latest, latest:COUNT, all, specific:A,B.
    version_policy: str = "latest"
    #: TOML with the routes; without it, the newest version of each model is served.
    routes_file: Path | None = None
    #: Ed25519 public keys in hex that must have signed the packages; empty: unsigned are served.
    #: KEY=PATTERN: a key counts for models of this name or pattern only, such as ab12…=eta-*.
    trusted_keys: tuple[str, ...] = ()
    #: A route without requests for this long unloads its engines until the next call; 0: never.
    idle_unload_seconds: float = 0.0
    #: Memory that all models together may use, in bytes; 0: no limit.
    memory_budget_bytes: int = 0
    #: How long a new package may take to load and to repeat its golden samples in a process of its
    #: own, before the node loads it; then it is given up. 0: the node alone loads it.
    examination_seconds: float = 120.0
    #: Memory that it may take there, in bytes, besides eight times the size of its files.
    examination_memory_bytes: int = 1 << 30
    #: Formats to run, in order of preference; empty: all that are installed.
    engines: tuple[str, ...] = ()
    #: Size of the queue of telemetry on the disk.
    spool_bytes: int = 64 << 20
    #: How long telemetry is kept after the hub has acknowledged it, as far as `spool_bytes` has
    #: room: a hub that is restored from a backup gets it again. 0: not at all.
    kept_seconds: float = 21_600.0
    #: Folder of transcripts: requests and answers that a package allows to be recorded
    #: (its `deployment.transcript_permille`). None: nowhere.
    transcripts_folder: Path | None = None
    #: Size of that folder; the oldest lines are dropped first.
    transcripts_bytes: int = 256 << 20
    #: How often the hub is called if it does not set the interval.
    sync_seconds: float = 5.0
    #: How often telemetry is uploaded.
    upload_seconds: float = 1.0
    #: An open window is written to the spool at least this often.
    checkpoint_seconds: float = 10.0
    #: How long the node tries to upload the rest of its telemetry when it stops.
    stop_seconds: float = 5.0
    #: The longest pause after failed calls, and between two calls if the hub asks for more.
    longest_pause_seconds: float = 60.0

    def __post_init__(self) -> None:
        check_name(self.name)
        if bool(self.hub) == bool(self.packages):
            raise ValueError("give either hub, or packages to serve without one")
        if self.hub and self.routes_file:
            raise ValueError("routes_file is for a node without a hub; a hub sends its routes")
        if self.hub:
            check_hub_address(self.hub)
        for name in ("sync_seconds", "upload_seconds", "checkpoint_seconds", "stop_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} should be above 0, got {getattr(self, name)}")
        for name in ("transcripts_bytes", "examination_memory_bytes"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} should be above 0, got {getattr(self, name)}")
        for name in _AT_LEAST_0:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} should be 0 or above, got {getattr(self, name)}")
        if self.longest_pause_seconds < self.upload_seconds:
            raise ValueError(
                f"longest_pause_seconds should be at least upload_seconds "
                f"({self.upload_seconds}), got {self.longest_pause_seconds}"
            )
        if self.spool_bytes < 1 << 16:
            raise ValueError(f"spool_bytes should be at least 65536, got {self.spool_bytes}")
