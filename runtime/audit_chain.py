"""The audit chain as anybody can check it: each record's hash covers it and the hash before it.

So a record that is changed, removed, put in or moved breaks the chain at a place that `verify`
names. Whether records were cut off at the end is detected by the number and the last hash that
somebody noted before.

An exported chain is a file of lines, each a JSON object: a head with the number of records and the
last hash, then the records in order.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gnomon.runtime.errors import InvalidInput

#: The hash before the first record.
GENESIS = "0" * 64

_COVERED = ("sequence", "at", "actor", "action", "subject", "detail", "previous")
_FORMAT = 1
_LINE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The newest record of a chain; a hub that was restored from a backup has a newer epoch."""

    epoch: int
    sequence: int
    hash: str

    def __str__(self) -> str:
        return f"{self.sequence} ({self.hash[:16]})"


@dataclass(frozen=True)
class ChainVerdict:
    """What a check of the chain found: its length, and where and how it is broken, if it is."""

    intact: bool
    records: int
    broken_at: int | None = None
    reason: str = ""
    last: str = field(default=GENESIS, compare=False)
    """The hash of the last valid record: with a note of it, a later truncation is detected."""


def hash_of(record: Mapping[str, Any]) -> str:
    """Return the hash of a record, whose `detail` is JSON as text."""
    covered = [record[key] for key in _COVERED]
    return hashlib.sha256(json.dumps(covered, ensure_ascii=False).encode()).hexdigest()


def verify(
    records: Iterable[Mapping[str, Any]],
    counted: int | None = None,
    noted: str | None = None,
    heads: Iterable[ChainHead] = (),
) -> ChainVerdict:
    """Check records in order.

    Args:
        records: all records of the chain, the oldest first.
        counted: how many there should be, by another count; None: not checked.
        noted: hash of a record that was noted earlier and must still be there; None: not checked.
        heads: that the chain had earlier, as a node keeps them; their records must still be there.
    """
    known: dict[int, set[str]] = {}
    for head in heads:
        known.setdefault(head.sequence, set()).add(head.hash)
    previous, expected = GENESIS, 1
    is_there = noted in (None, GENESIS)

    def broken(at: int, reason: str) -> ChainVerdict:
        return ChainVerdict(False, expected - 1, at, reason, previous)

    for record in records:
        sequence = record["sequence"]
        if sequence != expected:
            return broken(expected, f"record {expected} is missing")
        if record["previous"] != previous:
            return broken(sequence, "does not follow the record before it")
        if record["hash"] != hash_of(record):
            return broken(sequence, "was changed after it was written")
        if known.pop(sequence, {record["hash"]}) != {record["hash"]}:
            return broken(sequence, "is not the record of this number that a node knows")
        previous, expected = record["hash"], expected + 1
        is_there |= previous == noted
    known.pop(0, None)
    if known:
        return broken(expected, f"a node knows {max(known)} records")
    if not is_there:
        return broken(expected, f"no record has the hash {str(noted)[:16]} that was noted")
    if counted is not None and counted != expected - 1:
        return broken(expected, f"{counted} records were written")
    return ChainVerdict(True, expected - 1, last=previous)


def head_line(records: int, last: str) -> str:
    """Return the first line of an export."""
    return json.dumps({"gnomon_audit": _FORMAT, "records": records, "last": last})


def record_line(record: Mapping[str, Any]) -> str:
    """Return a record's line of an export."""
    return json.dumps({key: record[key] for key in (*_COVERED, "hash")}, ensure_ascii=False)


def verify_export(
    file: Path, noted: str | None = None, heads: Iterable[ChainHead] = ()
) -> ChainVerdict:
    """Check an exported chain, without the hub that wrote it.

    Args:
        file: of the export.
        noted: as of `verify`.
        heads: as of `verify`.

    Raises:
        InvalidInput: if the file is not an export.
    """
    with file.open("rb") as lines:
        head = _read(lines.readline(_LINE_BYTES))
        if head.get("gnomon_audit") != _FORMAT or not isinstance(head.get("records"), int):
            raise InvalidInput(f"{file} is no export of an audit chain")
        try:
            records = map(_read, iter(lambda: lines.readline(_LINE_BYTES), b""))
            found = verify(records, noted=noted, heads=heads)
        except KeyError as error:
            raise InvalidInput(f"{file}: a record lacks {error}") from error
    if found.intact and (head["records"], head.get("last")) != (found.records, found.last):
        reason = f"{head['records']} records were exported"
        return ChainVerdict(False, found.records, found.records + 1, reason, found.last)
    return found


def _read(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise InvalidInput("a line of the export is not JSON") from error
    if not isinstance(value, dict):
        raise InvalidInput("a line of the export is no JSON object")
    return value
