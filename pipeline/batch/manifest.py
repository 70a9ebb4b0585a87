"""The manifest of a finished run: which parts are the answer, of what, by which package."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gnomon.pipeline.batch.parts import BatchPart
from gnomon.pipeline.datasets.file_index import DatasetFile
from gnomon.runtime.errors import StorageError

__all__ = [
    "MANIFEST",
    "BatchManifest",
    "BatchParameters",
    "make_manifest",
    "read_manifest",
    "run_key",
]

#: Readers of folders of data pass over names that begin so.
MANIFEST = "_manifest.json"
_FORMAT = 1


class BatchParameters(msgspec.Struct, frozen=True):
    """What changes the content of the parts, besides package and source."""

    keep: tuple[str, ...]
    prefix: str
    format: str
    dialect: str


class BatchManifest(msgspec.Struct, frozen=True):
    """What a run read and wrote. It holds no time: a run that is repeated gives the same bytes.

    Attributes:
        format: of this record.
        model: the package's name.
        version: its version.
        digest: of the package.
        parameters: how the parts were made.
        files: what was read.
        parts: what was written, in the order of the source's rows.
        rows: how many were read.
        answered: how many have an answer.
        refused_by: how many rows broke a rule, by `field: rule`, or by the error's code.
        is_quarantined: whether more rows were refused than the run allows.
    """

    format: int
    model: str
    version: str
    digest: str
    parameters: BatchParameters
    files: tuple[DatasetFile, ...]
    parts: tuple[BatchPart, ...]
    rows: int
    answered: int
    refused_by: dict[str, int]
    is_quarantined: bool

    @property
    def refused(self) -> int:
        """How many rows have no answer."""
        return self.rows - self.answered


def make_manifest(
    identity: tuple[str, str, str],
    parameters: BatchParameters,
    files: Sequence[DatasetFile],
    parts: Sequence[BatchPart],
    refused_share: float,
) -> BatchManifest:
    """Return the manifest of a run.

    Args:
        identity: the package's name, version and digest.
        parameters: how the parts were made.
        files: what was read.
        parts: what was written.
        refused_share: the share of refused rows above which the run is quarantined.
    """
    refused_by: Counter[str] = Counter()
    for part in parts:
        refused_by.update(part.refused_by)
    rows, answered = sum(one.rows for one in parts), sum(one.answered for one in parts)
    return BatchManifest(
        _FORMAT,
        *identity,
        parameters,
        tuple(files),
        tuple(parts),
        rows,
        answered,
        dict(sorted(refused_by.items())),
        is_quarantined=rows - answered > refused_share * rows,
    )


def run_key(digest: str, parameters: BatchParameters, files: Sequence[DatasetFile]) -> str:
    """Return the name of a run, 32 hexadecimal digits: the same for the same work."""
    work = msgspec.json.encode((_FORMAT, digest, parameters, tuple(files)))
    return hashlib.blake2b(work, digest_size=16).hexdigest()


def read_manifest(folder: Path) -> BatchManifest | None:
    """Return the manifest of a run's folder, or None if the run has not finished.

    Raises:
        StorageError: it is there but cannot be read.
    """
    path = folder / MANIFEST
    try:
        return msgspec.json.decode(path.read_bytes(), type=BatchManifest)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
