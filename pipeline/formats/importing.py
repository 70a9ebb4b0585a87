"""Makes a package of a model without its data: a raw model file, an MLflow folder, an estimator.

Such a package has no training data behind it. Its contract follows from the tensors' shapes and
types only: no ranges, no categories, no reference for drift detection. It runs, it is signed and
versioned, and it reproduces its golden samples, which are recorded on made-up rows. If there are
data, a recipe (`gnomon.pipeline.recipes.build`) makes a better package.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gnomon.pipeline.build import ModelFile, PackageMetadata, build_package
from gnomon.pipeline.formats.mlflow import mlflow_file, signature_columns
from gnomon.pipeline.proofs.tree_proof import TreeProof, attest_proof, prove_file
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.column_names import first_misplaced
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer
from gnomon.runtime.raw_models.model_file import is_model_file, read_model_file
from gnomon.runtime.raw_models.raw_model import derive_model, origin
from gnomon.runtime.raw_models.raw_model_parts import RawModel

__all__ = ["Source", "import_model", "read_source"]

NOTE = (
    "Imported without data: the contract comes from the shapes and types of the model's tensors "
    "alone, the golden samples were recorded on made-up rows, and there is no reference to "
    "measure drift against."
)


@dataclass(frozen=True, slots=True)
class Source:
    """A model as it was read; `columns` names its inputs and `note` is for the card, if known.

    `proof` says how far it is from the library that trained it, if they were compared.
    """

    name: str
    format: str
    content: bytes
    columns: tuple[str, ...] = ()
    note: str = ""
    proof: TreeProof | None = None


def read_source(path: Path, *, proof: bool = True) -> Source:
    """Read a model file, or an MLflow model folder with an ONNX model in it.

    Trees of a trainer are compared with its library, if it is installed and `proof` is true. No
    other model is run.

    Raises:
        ConfigurationError: there is no such model.
        UnreadableTrees: the trees of a trainer cannot be run here.
        PackageError: they answer otherwise than the trainer.
    """
    if path.is_dir():
        return _read_mlflow(path)
    if not is_model_file(path) and path.exists():
        raise ConfigurationError(
            f"{path} should end in .onnx, .tflite, .trees, .skops or .pmml, be a model that "
            "LightGBM, XGBoost or CatBoost saved, or be the folder of an MLflow model; a pickled "
            "scikit-learn estimator is read with --unpickle, which runs the code in it"
        )
    format, content = read_model_file(path)
    found = prove_file(path, content) if proof and format == "trees" else None
    return Source(path.name, format, content, proof=found)


def import_model(
    source: Source,
    folder: Path,
    name: str,
    version: str,
    *,
    signer: Signer | None,
    columns: Sequence[str] = (),
    about: PackageMetadata | None = None,
) -> Package:
    """Write a package of a model without its data as `folder` and return it, verified.

    `columns` names the columns of the model's only tensor, in order; without them they are called
    by their tensor and number. A model with several tensors takes its inputs by name: there
    `columns` must be these names, in any order. The same source gives the same digest.

    Args:
        source: the model as it was found.
        folder: the package's folder; it must not exist, or hold the same.
        name: the model's name.
        version: the version's name.
        signer: whose key signs; None: unsigned.
        columns: names of the columns of the model's one tensor, or of its inputs.
        about: card, owner and other facts for people.

    Raises:
        PackageError: the file is no model, or its tensors are not rows of numbers.
        ConfigurationError: there are not as many names as columns, or other names than inputs.
        EngineError: the model fails on every row that was tried, or an output's first axis is not
            the rows.
        Conflict: the folder exists and holds something else.
    """
    found = derive_model(
        source.format, source.content, source.name, tuple(columns) or source.columns
    )
    misplaced = first_misplaced(columns, source.columns)
    if misplaced is not None and len(found.packing.tensors) == 1:
        raise ConfigurationError(
            f"{source.name} has the columns {', '.join(source.columns)}; {misplaced!r} is at "
            f"another place in {', '.join(columns)}"
        )
    about = about or PackageMetadata()
    package = build_package(
        folder,
        name,
        version,
        model=ModelFile(
            format=found.format,
            content=found.content,
            packing=found.packing,
            output_tensors=found.output_tensors,
            signature=found.signature,
            served=found.served,
        ),
        profile=found.profile,
        golden_rows=found.rows,
        reproducibility=origin(source.name, source.content),
        signer=signer,
        about=replace(
            about, card=_card(about.card, source.note, NOTE, *found.notes, _left_out(found))
        ),
    )
    if source.proof is not None and signer is not None:
        attest_proof(source.proof, package, signer)
    return package


def _card(*parts: str) -> str:
    return "\n\n".join(filter(None, parts))


def _left_out(found: RawModel) -> str:
    if not found.left_out:
        return ""
    return f"Outputs that are not numbers are left out: {', '.join(found.left_out)}."


def _read_mlflow(folder: Path) -> Source:
    path = mlflow_file(folder, "onnx", "data", "model.onnx")
    return replace(read_source(path), columns=signature_columns(folder))
