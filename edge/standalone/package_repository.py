"""The packages that a node without a hub can serve: found in its paths, opened when needed.

A bare model file becomes an unsigned package in a temporary folder of the process.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from gnomon.runtime.errors import ConfigurationError, Conflict, UntrustedPackage
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import TrustStore
from gnomon.runtime.packages.versioning import age
from gnomon.runtime.raw_models.finding import FoundModel, find
from gnomon.runtime.raw_models.raw_model import write_raw_model


class PackageRepository:
    """Models by name and version. Used by one thread at a time."""

    def __init__(self, paths: Sequence[Path], trust: TrustStore | None) -> None:
        """Search the paths; `trust=None` accepts unsigned packages and bare files.

        Raises:
            ConfigurationError: there is no model under one of them.
            Conflict: two have the same name and version.
        """
        self._paths = tuple(paths)
        self._trust = trust
        self._found: dict[str, dict[str, FoundModel]] = {}
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._made = 0
        self._bare: dict[Path, tuple[tuple[int, int], Package]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Search again; on failure the former result stays. Raises the constructor's errors."""
        found: dict[str, dict[str, FoundModel]] = {}
        for path in self._paths:
            for one in find(path):
                versions = found.setdefault(one.name, {})
                if one.version in versions:
                    raise Conflict(
                        f"{one.reference} is there twice: {versions[one.version].path} and "
                        f"{one.path}; leave one of them"
                    )
                versions[one.version] = one
        self._found = found

    @property
    def names(self) -> tuple[str, ...]:
        """Return all names, in the order in which they were found."""
        return tuple(self._found)

    def versions(self, name: str) -> tuple[str, ...]:
        """Return a name's versions, oldest first; empty if the name is unknown."""
        return tuple(sorted(self._found.get(name, ()), key=age))

    def open(self, name: str, version: str) -> Package:
        """Return a package, verified.

        Raises:
            ConfigurationError: there is no package of that name and version.
            UntrustedPackage: no trusted key signed it.
            PackageError: it is damaged, or a bare file is not a model of rows.
        """
        found = self._found.get(name, {}).get(version)
        if found is None:
            known = [f"{one}@{v}" for one in self._found for v in self.versions(one)]
            raise ConfigurationError(
                f"there is no {name}@{version} here; there are {', '.join(known)}"
            )
        if not found.is_raw:
            return Package.open(found.path, self._trust)
        if self._trust is not None:
            raise UntrustedPackage(
                f"{found.path} is a bare file without a signature; with trusted_keys only signed "
                "packages are served: make one with `gnomon package import`"
            )
        return self._open_found(found)

    def close(self) -> None:
        """Remove the temporary packages."""
        if self._scratch is not None:
            self._scratch.cleanup()

    def _open_found(self, found: FoundModel) -> Package:
        """Return a bare file as a package, which is rebuilt if the file has changed."""
        try:
            state = found.path.stat()
        except OSError as error:
            raise ConfigurationError(f"{found.path} cannot be read: {error}") from error
        stamp = (state.st_mtime_ns, state.st_size)
        kept = self._bare.get(found.path)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="gnomon-")
        self._made += 1
        folder = Path(self._scratch.name) / f"{found.name}-{found.version}-{self._made}"
        package = write_raw_model(found.path, folder, found.name, found.version)
        self._bare[found.path] = (stamp, package)
        return package
