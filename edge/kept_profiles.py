"""The profiles of packages whose windows may wait in the spool, also after the package was removed.

Without its profile a window cannot be merged with others.
"""

import logging
from collections.abc import Collection
from pathlib import Path

from gnomon.runtime.errors import PackageError
from gnomon.runtime.files import clear_temporaries, write_durably
from gnomon.runtime.packages.profile import Profile, decode_profile, encode_profile

_log = logging.getLogger(__name__)


class KeptProfiles:
    """Profiles by the digest of their package, in a folder. A disk that fails stops nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        clear_temporaries(folder)
        try:
            self._digests = {path.stem for path in folder.glob("*.json")}
        except OSError as error:
            _log.warning("%s cannot be read: %s", folder, error)
            self._digests = set()
        self._read: dict[str, Profile] = {}

    def keep(self, digest: str, profile: Profile) -> None:
        """Keep the profile of a package that is loaded."""
        if digest in self._digests:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_durably(self._path(digest), encode_profile(profile), mode=0o600)
        except OSError as error:
            _log.warning("the profile of package %s cannot be kept: %s", digest[:16], error)
            return
        self._digests.add(digest)

    def find(self, digest: str) -> Profile | None:
        """Return a kept profile; None without one that can be read."""
        if digest not in self._read and digest in self._digests:
            try:
                self._read[digest] = decode_profile(self._path(digest).read_bytes())
            except (OSError, PackageError) as error:
                _log.warning("the kept profile of package %s is lost: %s", digest[:16], error)
                self._digests.discard(digest)
        return self._read.get(digest)

    def retain(self, digests: Collection[str]) -> None:
        """Remove all profiles but these: no window waits any more."""
        for digest in self._digests - set(digests):
            self._digests.discard(digest)
            self._read.pop(digest, None)
            try:
                self._path(digest).unlink(missing_ok=True)
            except OSError as error:
                _log.warning("the profile of package %s stays: %s", digest[:16], error)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.json"
