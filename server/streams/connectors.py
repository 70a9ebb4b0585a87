"""The interface of sources and sinks, which files and brokers implement.

Records are committed only after their answers are durable. So after a crash a record may be
answered again, but is never lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class BrokerAddress(NamedTuple):
    """A broker's `host:port`s, separated by commas, and the subject or topic there."""

    scheme: str
    hosts: str
    subject: str


class Unavailable(Exception):
    """A broker cannot be reached now; the operation may be retried."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was read.

    Attributes:
        data: its bytes, truncated if there are too many.
        position: its position in the source, the same at each read, so that duplicates are known.
        is_whole: whether `data` is not truncated.
    """

    data: bytes
    position: str
    is_whole: bool = True


class RecordSource(Protocol):
    """Where records come from. One thread uses it."""

    name: str
    #: Whether the last record was read.
    ended: bool

    def read(self, limit: int, seconds: float) -> list[Record]:
        """Return up to `limit` next records; fewer, or none, after `seconds`.

        Raises:
            Unavailable: the broker does not answer.
            StorageError: the file cannot be read.
        """

    def commit(self) -> None:
        """Make durable that all records read so far are done.

        Raises:
            Unavailable: the broker does not answer; the records may be read again.
            StorageError: the disk did not take it.
        """

    def close(self) -> None:
        """Close; the next consumer reads again what was not committed."""


class AnswerSink(Protocol):
    """Where answers go. One thread uses it."""

    def write(self, answers: Sequence[tuple[str, bytes]]) -> None:
        """Write answers, each with its record's id; return once they are durable.

        Raises:
            Unavailable: the broker does not answer; all of them may be written again.
            StorageError: the disk did not take them.
        """

    def close(self) -> None:
        """End."""
