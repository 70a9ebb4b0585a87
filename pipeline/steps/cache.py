"""The cache of artifacts, by the hash of everything that they were made from.

An entry is written beside the others, made durable and renamed, so that after a crash it is
complete or absent: a build that was killed continues after the last completed step.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from gnomon.pipeline.steps.artifacts import Artifact, ArtifactKind, folder_digest, save
from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.files import sync_folder, write_synced

__all__ = ["StepCache"]

_CONTENT = "content"
_ENTRY = "artifact.json"


class _Entry(msgspec.Struct, frozen=True):
    kind: ArtifactKind
    digest: str
    about: dict[str, Any]


class StepCache:
    """Artifacts in a folder, by key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.new"):
            shutil.rmtree(left, ignore_errors=True)

    def find(self, key: str, step: str, kind: ArtifactKind) -> Artifact | None:
        """Return the artifact of this key, or None if no complete one exists."""
        folder = self._folder / key
        try:
            entry = msgspec.json.decode((folder / _ENTRY).read_bytes(), type=_Entry)
        except (OSError, *UNDECODABLE):
            return None
        content = folder / _CONTENT
        if entry.kind is not kind or folder_digest(content) != entry.digest:
            return None
        return Artifact(step, kind, entry.digest, content, entry.about)

    def keep(self, key: str, step: str, kind: ArtifactKind, make: Callable[[], Any]) -> Artifact:
        """Make an artifact, keep it under a key, and return it.

        Args:
            key: hash of all that goes into the step.
            step: its name.
            kind: of the artifact.
            make: returns what the step makes.

        Raises:
            ConfigurationError: if `make` returns something of another kind.
        """
        value = make()
        temporary = self._folder / f"{uuid4().hex}.new"
        content = temporary / _CONTENT
        content.mkdir(parents=True)
        try:
            about = save(kind, value, content)
            entry = _Entry(kind, folder_digest(content), about)
            write_synced(temporary / _ENTRY, msgspec.json.encode(entry))
            _sync(temporary)
            target = self._folder / key
            shutil.rmtree(target, ignore_errors=True)
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync_folder(self._folder)
        return Artifact(step, kind, entry.digest, target / _CONTENT, about)


def _sync(root: Path) -> None:
    """Make all files and names below a folder durable."""
    for path in [root, *root.rglob("*")]:
        sync_folder(path)  # the system syncs a file as it does a folder
