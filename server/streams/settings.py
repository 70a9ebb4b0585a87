"""How a stream is consumed."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """Source and sink of a stream, fields of its records, and size of micro-batches.

    Addresses: a file, `-` (standard input or output), `nats://host:port/subject`,
    `kafka://host:port[,host:port…]/topic`.

    Raises:
        ValueError: a number is out of range; the message names it.
    """

    #: Where records come from: a file, - for standard input, nats:// or kafka://.
    source: str = "-"
    #: Where answers go; of the same kind as a source.
    sink: str = "-"
    #: Sink of rejected records' errors; empty: the same as of the answers.
    refused: str = ""
    #: The route that answers; empty: the only one in service.
    model: str = ""
    #: Fields of a record beside the model's: its id, by which labels are joined; its time (ISO 8601
    #: or epoch seconds); and its key: equal keys get the same version.
    id_field: str = ""
    time_field: str = ""
    key_field: str = ""
    #: Ignore fields that the model does not have, instead of rejecting the record.
    ignore_unknown: bool = False
    #: A micro-batch is answered when it has `max_rows`, or when its first row has waited
    #: `max_delay_seconds`.
    max_rows: int = 256
    max_delay_seconds: float = 0.05
    #: The longest record.
    record_bytes: int = 1 << 20
    #: Wait for more at the end of a file.
    follow: bool = False
    #: The file with the progress in a source file; empty: the source's name with `.progress`.
    progress_file: Path | None = None
    #: The name of the consumers that share a broker's records.
    group: str = "gnomon"
    #: TOML with options of the broker's client: paths of certificates, user, password.
    client_options_file: Path | None = None
    #: Longest wait for a model to come into service.
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
