"""How a stream is consumed."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """Where records come from, where answers go, and how many are answered at once.

    Addresses: a file, `-` (standard input or output), `nats://host:port/subject`,
    `kafka://host:port[,host:port…]/topic`.

    Raises:
        ValueError: a figure is out of range; the message names it.
    """

    source: str = "-"
    sink: str = "-"
    #: Where refused records go; empty: among the answers.
    refused: str = ""
    #: The route to ask; empty: the only one in service.
    model: str = ""
    #: Fields of a record that are not the model's: its identity, by which labels are joined, its
    #: time (ISO 8601 or epoch seconds), and the key whose answers stick to one version.
    id_field: str = ""
    time_field: str = ""
    key_field: str = ""
    #: Leave out fields that the model does not know, instead of refusing the record.
    ignore_unknown: bool = False
    #: A micro-batch is answered when it has so many rows, or when its first has waited so long.
    max_rows: int = 256
    max_delay_seconds: float = 0.05
    #: The longest record.
    record_bytes: int = 1 << 20
    #: Go on waiting where a file ends.
    follow: bool = False
    #: How far a file was consumed; empty: beside it, under its name with `.progress`.
    progress_file: Path | None = None
    #: The consumers that share a broker's records among them.
    group: str = "gnomon"
    #: TOML with options of the broker's client: addresses of certificates, user, password.
    client_options_file: Path | None = None
    #: How long a model may take to come into service.
    wait_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name in ("max_rows", "record_bytes"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} should be above 0, got {getattr(self, name)}")
        for name in ("max_delay_seconds", "wait_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} should be 0 or above, got {getattr(self, name)}")
        if not self.group:
            raise ValueError("group should be a name, got an empty one")
