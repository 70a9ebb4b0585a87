"""Artifacts: what the steps of a build pass to each other, typed and identified by a hash.

    dataset   a `Dataset`, kept as Parquet with its URI and fingerprint
    model     a model file: the bytes of an ONNX model, or the path of a file
    metrics   numbers by name
    package   a folder that `Package.open` accepts

An artifact is a folder; its digest covers names and contents of all files in it.
"""

import enum
import hashlib
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet

from gnomon.pipeline.datasets.dataset import Dataset
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.package import Package

__all__ = ["Artifact", "ArtifactKind", "folder_digest", "load", "save"]

_DATASET = "data.parquet"
_METRICS = "metrics.json"
_MODEL = "model"
_PACKAGE = "package"


class ArtifactKind(enum.StrEnum):
    """What an artifact is."""

    DATASET = "dataset"
    MODEL = "model"
    PACKAGE = "package"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a step made: its kind, its hash, its folder, and what is recorded of it."""

    step: str
    kind: ArtifactKind
    digest: str
    folder: Path
    about: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """Return the artifact's one file, or a package's folder."""
        (path,) = self.folder.iterdir()
        return path


def save(kind: ArtifactKind, value: Any, folder: Path) -> dict[str, Any]:
    """Write what a step returned into an empty folder; return what is recorded of it.

    Raises:
        ConfigurationError: if it is not of that kind.
        PackageError: if it is a package that contradicts itself.
    """
    if kind is ArtifactKind.DATASET and isinstance(value, Dataset):
        table = value.table.replace_schema_metadata(None)
        pyarrow.parquet.write_table(table, folder / _DATASET)
        return {"uri": value.uri, "fingerprint": value.fingerprint, "rows": len(value)}
    if (
        kind is ArtifactKind.METRICS
        and isinstance(value, Mapping)
        and all(map(_is_metric, value.items()))
    ):
        metrics = {name: float(number) for name, number in value.items()}
        (folder / _METRICS).write_bytes(msgspec.json.encode(metrics, order="sorted"))
        return {"metrics": metrics}
    if kind is ArtifactKind.MODEL and isinstance(value, bytes):
        (folder / f"{_MODEL}.onnx").write_bytes(value)
        return {"format": "onnx", "bytes": len(value)}
    if kind is ArtifactKind.MODEL and isinstance(value, Path) and value.is_file():
        shutil.copyfile(value, folder / f"{_MODEL}{value.suffix}")
        return {"format": value.suffix.lstrip("."), "bytes": value.stat().st_size}
    if kind is ArtifactKind.PACKAGE and isinstance(value, Package):
        return _save_package(value, folder / _PACKAGE)
    expected = {
        ArtifactKind.DATASET: "a Dataset",
        ArtifactKind.METRICS: "a dict of numbers by name",
        ArtifactKind.MODEL: "the bytes of an ONNX model or the Path of a model file",
        ArtifactKind.PACKAGE: "a Package",
    }[kind]
    raise ConfigurationError(f"it should return {expected}, got {type(value).__name__}")


def load(artifact: Artifact) -> Any:
    """Return an artifact as the next step takes it; models and packages as paths."""
    if artifact.kind is ArtifactKind.DATASET:
        table = pyarrow.parquet.read_table(artifact.path)
        return Dataset(table, artifact.about["uri"])
    if artifact.kind is ArtifactKind.METRICS:
        return dict(artifact.about["metrics"])
    return artifact.path


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 over names and contents of all files below a folder, or of one file."""
    if folder.is_file():
        return _file_digest(folder)
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix().encode()
        total.update(len(name).to_bytes(8, "little") + name + bytes.fromhex(_file_digest(path)))
    return total.hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_metric(item: tuple[Any, Any]) -> bool:
    name, number = item
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    return isinstance(name, str) and is_number and math.isfinite(number)


def _save_package(package: Package, folder: Path) -> dict[str, Any]:
    shutil.copytree(package.path, folder)
    manifest, made_from = package.manifest, package.manifest.reproducibility
    return {
        "name": manifest.name,
        "version": manifest.version,
        "format": manifest.format,
        "digest": package.digest,
        "risk_tier": manifest.risk_tier,
        "code_clean": made_from.code_clean,
        "metrics": made_from.test_metrics,
    }
