"""The boots of a spool: their ids, and how far the records of each may have been handed out.

Windows that were handed out keep their sequence: merged into others they would count twice, if the
hub took them and the acknowledgement was lost. So the mark of a boot is durable before its records
are handed out, some records ahead, so that not every upload writes it.
"""

import logging
import secrets
from collections.abc import Collection
from pathlib import Path

import msgspec

from gnomon.edge.telemetry.segment import Segment
from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.files import write_durably
from gnomon.runtime.state_file import seal, unseal

_log = logging.getLogger(__name__)
#: How many records a mark is ahead of those that are handed out.
_AHEAD = 64
#: The mark of a boot of which nothing is known: all of its records may have been handed out.
_ALL = 2**64 - 1


def next_boot_id(folder: Path, boot_ids: Collection[str]) -> str:
    """Return a new boot id, which sorts after all former ones.

    If the counter cannot be written, the random part alone makes it unique.
    """
    counter = folder / "boots"
    seen = [int(boot_id[:8]) for boot_id in boot_ids]
    try:
        if counter.exists() and (text := counter.read_bytes()[:8]).isdigit():
            seen.append(int(text))
    except OSError as error:
        _log.warning("cannot read %s: %s", counter, error)
    ordinal = max(seen, default=0) % 99_999_999 + 1
    try:
        write_durably(counter, str(ordinal).encode())
    except OSError as error:
        _log.warning("cannot write %s: %s", counter, error)
    return f"{ordinal:08d}-{secrets.token_hex(6)}"


class SentMarks:
    """How far records may have been handed out, by boot; for the owner of the spool's lock."""

    def __init__(self, folder: Path, segments: Collection[Segment]) -> None:
        self._path = folder / "sent"
        known = {segment.boot_id for segment in segments}
        self._durable = {boot: mark for boot, mark in self._read().items() if boot in known}
        self._sent: dict[str, int] = {}

    def begin(self, boot_id: str) -> None:
        """Add a boot of this process, of which nothing was handed out."""
        self._sent[boot_id] = 0

    def sent_through(self, boot_id: str) -> int:
        """Return the sequence up to which a boot's records may have been handed out."""
        sent = self._sent.get(boot_id)
        return self._durable.get(boot_id, _ALL) if sent is None else sent

    def allowed(self, boot_id: str) -> int:
        """Return the sequence up to which records may be handed out without a new mark."""
        return self._durable.get(boot_id, 0 if boot_id in self._sent else _ALL)

    def reserve(self, boot_id: str, sequence: int) -> None:
        """Make a mark for records up to `sequence` durable; raise OSError if that fails."""
        if sequence > self.allowed(boot_id):
            self._write(self._durable | {boot_id: sequence + _AHEAD})

    def set_sent(self, boot_id: str, sequence: int) -> None:
        """Record what is handed out now."""
        if boot_id in self._sent:
            self._sent[boot_id] = max(self._sent[boot_id], sequence)

    def write(self, boot_ids: Collection[str]) -> None:
        """Write the exact marks of these boots, and forget others; raise OSError if that fails."""
        marks = {boot: mark for boot, mark in self._durable.items() if boot in boot_ids}
        self._write(marks | {boot: m for boot, m in self._sent.items() if boot in boot_ids})

    def _write(self, marks: dict[str, int]) -> None:
        if marks != self._durable:
            write_durably(self._path, seal(msgspec.json.encode(marks)), mode=0o600)
            self._durable = marks

    def _read(self) -> dict[str, int]:
        try:
            return msgspec.json.decode(unseal(self._path.read_bytes()), type=dict[str, int])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, *UNDECODABLE) as error:
            _log.warning("%s is damaged, so windows of former boots stay: %s", self._path, error)
            return {}
