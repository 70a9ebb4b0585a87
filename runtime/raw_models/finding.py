"""Finds the models under a path: packages, raw model files, and folders of versions of them.

eta-1/manifest.json                a package, with the name and version of its manifest
linear.onnx                        a bare file: linear@1
price.txt                          a model of LightGBM: price@1
models/linear/1/model.onnx         a folder of versions, as Triton lays them out: linear@1
models/linear/2/manifest.json      the same with a package, which has to be linear@2
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages import layout
from gnomon.runtime.packages.manifest import NAME_PATTERN, decode_manifest
from gnomon.runtime.raw_models.model_file import ENDINGS_SHOWN, is_model_file

#: What a bare file without a folder of versions is called.
_FIRST = "1"
_DEPTH_LIMIT = 3
_VERSION_FOLDER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model on disk: a package's folder, or a bare model file."""

    name: str
    version: str
    path: Path

    @property
    def is_raw(self) -> bool:
        """Whether it is a model file and nothing else."""
        return not self.path.is_dir()

    @property
    def reference(self) -> str:
        """Return `name@version`."""
        return f"{self.name}@{self.version}"


def find(path: Path) -> list[FoundModel]:
    """Return all models under a path that an operator named; none is opened.

    Raises:
        ConfigurationError: there is no model, or a folder of versions is not one.
        PackageError: a manifest cannot be read.
    """
    found = list(_walk(path, 0))
    if not found:
        raise ConfigurationError(
            f"{path} holds no model: expected a package (a folder with {layout.MANIFEST}), a file "
            f"that {ENDINGS_SHOWN}, or a folder of these, be it NAME/VERSION/model.onnx"
        )
    return found


def _walk(path: Path, depth: int) -> Iterator[FoundModel]:
    if not path.exists():
        raise ConfigurationError(f"{path} does not exist")
    if not path.is_dir():
        if is_model_file(path):
            yield FoundModel(_name_of(path.stem), _FIRST, path)
        return
    if (path / layout.MANIFEST).exists():
        yield _package(path)
        return
    children = sorted(one for one in path.iterdir() if not one.name.startswith("."))
    versions = [one for one in children if one.is_dir() and _VERSION_FOLDER.fullmatch(one.name)]
    if versions:
        name = _name_of(path.resolve().name)
        for version in versions:
            yield _version(name, version)
    elif depth < _DEPTH_LIMIT:
        for child in children:
            yield from _walk(child, depth + 1)


def _package(path: Path) -> FoundModel:
    manifest = decode_manifest(layout.read_limited(path, layout.MANIFEST, layout.MANIFEST_LIMIT))
    return FoundModel(manifest.name, manifest.version, path)


def _version(name: str, folder: Path) -> FoundModel:
    """Return what a folder of one version holds."""
    if (folder / layout.MANIFEST).exists():
        found = _package(folder)
        if found.reference != f"{name}@{folder.name}":
            raise ConfigurationError(
                f"{folder} holds the package {found.reference}; by its place it should be "
                f"{name}@{folder.name}"
            )
        return found
    files = [file for file in sorted(folder.iterdir()) if is_model_file(file)]
    if len(files) != 1:
        raise ConfigurationError(
            f"{folder} holds {len(files)} model files; a version is one file that "
            f"{ENDINGS_SHOWN}, or a package"
        )
    return FoundModel(name, folder.name, files[0])


def _name_of(text: str) -> str:
    """Return a file's or folder's name as a model's."""
    name = re.sub(r"[^a-z0-9_-]+", "_", text.lower())[:63]
    if re.fullmatch(NAME_PATTERN, name):
        return name
    return f"model_{name}"[:63]
