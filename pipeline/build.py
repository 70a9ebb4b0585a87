"""Builds a package: model file, profile, golden samples and record, signed and verified.

The golden samples are recorded with the engine that runs the model in service, through the
runtime's own contract and packing; so a device reproduces what the build computed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gnomon.core.packing import Packing
from gnomon.pipeline.datasets.dataset import Split
from gnomon.pipeline.environment import code_version, pinned
from gnomon.runtime.errors import ConfigurationError, PackageError
from gnomon.runtime.models.tensor_model import open_model
from gnomon.runtime.packages.golden import Golden, encode_golden
from gnomon.runtime.packages.manifest import (
    CardSections,
    Deployment,
    Needs,
    Reproducibility,
    Signature,
    check_reference,
)
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.profile import Profile, encode_profile
from gnomon.runtime.packages.served_tensors import ServedTensors
from gnomon.runtime.packages.signing import Signer
from gnomon.runtime.packages.writing import write_package
from gnomon.runtime.raw_models.raw_model_parts import signature

__all__ = ["ModelFile", "PackageMetadata", "build_package", "record", "signature"]

#: The distributions that run a format.
_RUN_BY = {
    "onnx": ("numpy", "onnxruntime"),
    "tflite": ("ai-edge-litert", "numpy"),
    "trees": ("numpy",),
    "sklearn": ("joblib", "numpy", "scikit-learn", "scipy", "threadpoolctl"),
    "skops": ("joblib", "numpy", "scikit-learn", "scipy", "skops", "threadpoolctl"),
}


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A model as an engine runs it: bytes, format, packing of fields into tensors, output tensors.

    `output_tensors` names the engine's tensors behind the profile's outputs, in their order.
    `signature` is what clients send and get; None: one tensor a field of the profile. `served` has
    the inputs if they are served as they are; then the packing is empty.
    """

    format: str
    content: bytes
    packing: Packing
    output_tensors: tuple[str, ...]
    signature: Signature | None = None
    served: ServedTensors | None = None


@dataclass(frozen=True, kw_only=True)
class PackageMetadata:
    """Descriptive metadata of a package, and how it is to be run."""

    owner: str = ""
    licence: str = ""
    card: str = ""
    risk_tier: str = "low"
    needs: Needs = field(default_factory=Needs)
    deployment: Deployment = field(default_factory=Deployment)
    card_sections: CardSections | None = None


def build_package(
    folder: Path,
    name: str,
    version: str,
    *,
    model: ModelFile,
    profile: Profile,
    golden_rows: Sequence[Mapping[str, Any]],
    reproducibility: Reproducibility,
    signer: Signer | None,
    about: PackageMetadata | None = None,
) -> Package:
    """Write the package as `folder` and return it, verified. Same inputs, same digest.

    `golden_rows` are rows as clients send them; their outputs are recorded here.

    Args:
        folder: the package's folder; it must not exist, or hold the same.
        name: the model's name.
        version: the version's name.
        model: format, content and packing of the model.
        profile: contract and reference.
        golden_rows: rows as clients send them; their outputs are recorded here.
        reproducibility: what it takes to build again.
        signer: whose key signs; None: unsigned.
        about: card, owner and other facts for people.

    Raises:
        ConfigurationError: a model or a version may not be called so.
        PackageError: the parts do not make a package, or no engine here runs the format.
        InvalidInput: a golden row breaks the contract.
        InvalidOutput: the answer to a golden row breaks it.
        Conflict: the folder exists and holds something else.
    """
    try:
        check_reference(name, version)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    if model.format not in _RUN_BY:
        raise PackageError(
            f"{name}@{version}: format {model.format!r} is unknown; known are {', '.join(_RUN_BY)}"
        )
    if not golden_rows:
        raise PackageError(f"{name}@{version}: a package needs at least one golden sample")
    model_file = f"model.{model.format}"
    manifest = {
        "name": name,
        "version": version,
        "format": model.format,
        "model_file": model_file,
        "signature": model.signature or signature(profile),
        "packing": (model.served or model.packing).to_dict(),
        "output_tensors": model.output_tensors,
        "reproducibility": reproducibility,
        "dependencies": pinned(_RUN_BY[model.format]),
        **{
            key: value
            for key, value in vars(about or PackageMetadata()).items()
            if value is not None
        },
    }
    files = {model_file: model.content, "profile.json": encode_profile(profile)}
    golden = _record_golden(manifest, files, golden_rows)
    return write_package(folder, manifest, files | {"golden.json": encode_golden(golden)}, signer)


def record(
    source: Path,
    split: Split,
    *,
    dataset_fingerprint: str,
    parameters: Mapping[str, Any],
    seed: int,
    test_metrics: Mapping[str, float],
) -> Reproducibility:
    """Return what it takes to build again; `source` is the file whose code trains the model.

    Args:
        source: the file whose code trains the model.
        split: how rows were divided.
        dataset_fingerprint: of the rows that it was trained on.
        parameters: of the training; anything JSON can hold.
        seed: of the random generators.
        test_metrics: name → value, on the test rows.
    """
    commit, clean = code_version(source)
    return Reproducibility(
        code_version=commit,
        code_clean=clean,
        dataset_uri=split.train.uri,
        dataset_fingerprint=dataset_fingerprint,
        split=dict(split.recipe),
        parameters=dict(parameters),
        seed=seed,
        test_metrics=dict(test_metrics),
    )


def _record_golden(
    manifest: Mapping[str, Any], files: Mapping[str, bytes], rows: Sequence[Mapping[str, Any]]
) -> Golden:
    """Run the rows through the model as a node would, from a temporary package."""
    empty = encode_golden(Golden(rows=(), outputs=()))
    with TemporaryDirectory() as folder:
        package = write_package(
            Path(folder) / "draft",
            manifest,
            {**files, "golden.json": empty},
            # A package that runs code is opened only with a signature; a temporary key will do.
            Signer.generate(),
        )
        model = open_model(package)
        try:
            outputs = tuple(dict(model.predict_row(row)) for row in rows)
        finally:
            model.close()
    return Golden(rows=tuple(dict(row) for row in rows), outputs=outputs)
