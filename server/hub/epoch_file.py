"""The epoch of a hub as its data folder knows it, outside of the database.

An attacker who writes the database could begin an epoch there, and nodes would take a rewritten
chain for that of a hub that was restored. So the epoch that the hub signs is that of a file, which
only `gnomon hub restore` changes.
"""

from pathlib import Path

from gnomon.runtime.errors import StorageError
from gnomon.runtime.files import write_durably

__all__ = ["read_epoch", "write_epoch"]

_NAME = "epoch"


def write_epoch(folder: Path, epoch: int) -> None:
    """Write the epoch of the hub with this data folder; raise OSError if the disk refuses it."""
    write_durably(folder / _NAME, f"{epoch}\n".encode(), mode=0o600)


def read_epoch(folder: Path) -> int | None:
    """Return the epoch of the hub with this data folder; None if it has not been written yet.

    Raises:
        StorageError: the file cannot be read, or is damaged.
    """
    path = folder / _NAME
    try:
        text = path.read_text(encoding="ascii").strip()
        if text.isdecimal():
            return int(text)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
    raise StorageError(
        f"{path} holds no number, but {text[:80]!r}: write the epoch of the newest record "
        "`restore` of the audit chain into it, or 0 without such a record"
    )
