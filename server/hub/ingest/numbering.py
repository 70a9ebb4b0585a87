"""The sequence numbers of an upload's records, damaged ones included.

A damaged record gets its number from its place: one more than the record before it, or counted back
from the first readable one. If no record of an upload is readable, those that were refused before
are repeated, and the others are new. So no number of a good record is used twice.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.packages.chunks import sha256
from gnomon.server.hub.store.limits import MAXIMUM_INTEGER


@dataclass(frozen=True)
class NumberedRecord:
    """A record's bytes and number, and the decoded record, or None if it is damaged."""

    sequence: int
    record: hub_pb2.Record | None
    data: bytes

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the bytes, in hex."""
        return sha256(self.data)


def decode(data: bytes) -> hub_pb2.Record | None:
    """Return a record, or None if the bytes are no record or have no number."""
    try:
        record: hub_pb2.Record = hub_pb2.Record.FromString(data)
    except DecodeError:
        return None
    return record if record.sequence else None


def number(records: Sequence[bytes]) -> list[NumberedRecord] | None:
    """Number the records of an upload; return None if none of them is readable.

    Raises:
        InvalidInput: if the numbers do not rise.
    """
    decoded = [decode(data) for data in records]
    readable = [position for position, record in enumerate(decoded) if record is not None]
    if not readable:
        return None
    first = decoded[readable[0]]
    following = max(1, first.sequence - readable[0]) if first is not None else 1
    numbered = []
    for record, data in zip(decoded, records, strict=True):
        sequence = record.sequence if record is not None else following
        if not following <= sequence <= MAXIMUM_INTEGER:
            raise InvalidInput(
                f"record {sequence} comes after record {following - 1}; records should be in order "
                "of their sequence"
            )
        numbered.append(NumberedRecord(sequence, record, data))
        following = sequence + 1
    return numbered


def number_damaged(
    records: Sequence[bytes], watermark: int, refused: Collection[str]
) -> list[NumberedRecord]:
    """Number records of which none is readable; `refused` are digests of those refused before."""
    new = [data for data in records if sha256(data) not in refused]
    return [NumberedRecord(watermark + 1 + place, None, data) for place, data in enumerate(new)]
