"""An upload on its way: what a node sent, what of it is new, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gnomon.server.hub.ingest.numbering import NumberedRecord
from gnomon.server.hub.ingest.records import Rows, Sender


class RecordsMissing(Exception):
    """Records above the watermark were acknowledged and lost; the node is to send them again."""

    def __init__(self, watermark: int) -> None:
        super().__init__(f"records above {watermark} were lost")
        self.watermark = watermark


@dataclass(eq=False)
class Upload:
    """One call of a node, and its answer; `acknowledged` and `kept_from` as `Telemetry.upload`."""

    node: str
    boot: str
    records: Sequence[bytes]
    acknowledged: int = 0
    kept_from: int = 0
    watermark: int | None = None
    error: Exception | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Return whose records these are: their numbers count by node and boot."""
        return self.node, self.boot

    @property
    def size(self) -> int:
        """Return the number of records."""
        return len(self.records)

    @property
    def is_done(self) -> bool:
        """Return whether there is an answer."""
        return self.watermark is not None or self.error is not None

    def answer(self) -> int:
        """Return the watermark; raise what the upload failed by, or if there is no answer yet."""
        if self.error is not None:
            raise self.error
        if self.watermark is None:
            raise RuntimeError(f"the upload of {self.node} was not stored")
        return self.watermark


@dataclass
class Entry:
    """One record: its rows, or the event that stands for it and the reason why."""

    numbered: NumberedRecord
    rows: Rows
    refused: str = ""


@dataclass
class NewRecords:
    """What is new in one upload."""

    upload: Upload
    sender: Sender
    known: int  # the watermark before it
    entries: list[Entry] = field(default_factory=list)

    @property
    def refused(self) -> list[Entry]:
        """The records that were refused."""
        return [entry for entry in self.entries if entry.refused]

    @property
    def watermark(self) -> int:
        """The number of the last record."""
        return self.entries[-1].numbered.sequence

    @property
    def is_resumed(self) -> bool:
        """Whether the node was given no higher watermark than the one that is known here."""
        return self.upload.acknowledged <= self.known
