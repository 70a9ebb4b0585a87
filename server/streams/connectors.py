"""The two ends of a stream, as the consumer sees them: the seam behind which files and brokers lie.

What was read is committed only once the answers to it are durable; so after any crash a record is
answered again, or has been answered, and never lost.
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
    """A broker cannot be reached now; what was asked of it may be asked again."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was read.

    Attributes:
        data: its bytes; cut off where they were too many.
        position: where it lies; the same at each reading, so that duplicates can be told.
        is_whole: whether `data` is all of it.
    """

    data: bytes
    position: str
    is_whole: bool = True


class RecordSource(Protocol):
    """Where records come from. One thread uses it."""

    name: str
    #: Whether all there will ever be was read.
    ended: bool

    def read(self, limit: int, seconds: float) -> list[Record]:
        """Return up to `limit` records that follow; fewer, or none, after so many seconds.

        Raises:
            Unavailable: the broker does not answer.
            StorageError: the file cannot be read.
        """

    def commit(self) -> None:
        """Begin after all that was read, whatever happens to this process from now on.

        Raises:
            Unavailable: the broker does not answer; the records may be read again.
            StorageError: the disk did not take it.
        """

    def close(self) -> None:
        """End; what was not committed is read again by the next."""


class AnswerSink(Protocol):
    """Where answers go. One thread uses it."""

    def write(self, answers: Sequence[tuple[str, bytes]]) -> None:
        """Return once the answers, each with its record's identity, are durable.

        Raises:
            Unavailable: the broker does not answer; all of them may be written again.
            StorageError: the disk did not take them.
        """

    def close(self) -> None:
        """End."""
