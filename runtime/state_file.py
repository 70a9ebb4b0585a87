"""Small files of state that survive damage: a checksum shows it, and the previous copy is used.

The last line of a file is the SHA-256 of all before it. A file without that line is from an earlier
version and is read as it is.
"""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.errors import StorageError
from gnomon.runtime.files import sync_folder, write_durably, write_temporary

_log = logging.getLogger(__name__)
_MARK = b"\n#sha256 "
_SEAL_BYTES = len(_MARK) + 65

State = TypeVar("State")


def seal(data: bytes) -> bytes:
    """Return data with its checksum."""
    return data + _MARK + hashlib.sha256(data).hexdigest().encode() + b"\n"


def unseal(sealed: bytes) -> bytes:
    """Return the data that `seal` was given; data without a checksum as they are.

    Raises:
        ValueError: the checksum is of other data.
    """
    data = sealed[:-_SEAL_BYTES]
    if not sealed[-_SEAL_BYTES:].startswith(_MARK):
        return sealed
    if seal(data) != sealed:
        raise ValueError("its checksum does not match")
    return data


class StateFile(Generic[State]):
    """One file of state and its previous copy; for one thread of one process at a time."""

    def __init__(self, path: Path, decode: Callable[[bytes], State], *, mode: int = 0o600) -> None:
        """Name the file; nothing is read yet.

        Args:
            path: of the file; the previous copy has the suffix `.old` besides.
            decode: returns the state; raises ValueError or what msgspec raises if it is damaged.
            mode: permissions of the file.
        """
        self.path = path
        #: What was wrong with the file when it was read; empty: nothing.
        self.damage = ""
        self._previous = path.with_name(path.name + ".old")
        self._decode = decode
        self._mode = mode
        self._is_sound = False

    def read(self) -> State | None:
        """Return the state; if the file is damaged, that of the previous copy; None without both.

        Damage is logged, and kept in `damage`.
        """
        state, problem = self._read(self.path)
        self._is_sound = state is not None
        if state is not None:
            return state
        state, former_problem = self._read(self._previous)
        if problem or former_problem:
            use = "its previous copy is used" if state is not None else "there is no sound copy"
            self.damage = f"{self.path} is damaged ({problem or former_problem}); {use}"
            _log.error("%s", self.damage)
        return state

    def write(self, data: bytes) -> None:
        """Replace the state; the state before becomes the previous copy.

        Raises:
            StorageError: it cannot be written; the state before stays.
        """
        sealed = seal(data)
        try:
            temporary = write_temporary(self.path, sealed, mode=self._mode)
            # A damaged file must not replace the previous copy.
            if self._is_sound:
                self.path.replace(self._previous)
            temporary.replace(self.path)
            sync_folder(self.path.parent)
            self._is_sound = True
            if not self._previous.exists():
                write_durably(self._previous, sealed, mode=self._mode)
        except OSError as error:
            raise StorageError(f"{self.path} cannot be written: {error}") from error

    def _read(self, path: Path) -> tuple[State | None, str]:
        """Return the state and the problem with it; no file is no problem."""
        try:
            return self._decode(unseal(path.read_bytes())), ""
        except FileNotFoundError:
            return None, ""
        except (OSError, ValueError, *UNDECODABLE) as error:
            return None, str(error) or type(error).__name__
