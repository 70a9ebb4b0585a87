"""A model file and nothing else: the contract that shapes and types give, and rows to try it on.

There are no ranges, no categories and no reference to detect drift with. Such a package can run,
refuse rows of other types, and count its calls.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gnomon.core.fields import ContractError, Field
from gnomon.runtime.errors import EngineError, PackageError
from gnomon.runtime.packages.chunks import sha256
from gnomon.runtime.packages.column_names import field_names
from gnomon.runtime.packages.golden import Golden, encode_golden
from gnomon.runtime.packages.manifest import Reproducibility
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.profile import Profile, encode_profile
from gnomon.runtime.packages.writing import write_package
from gnomon.runtime.raw_models.derived_packing import derive_packing
from gnomon.runtime.raw_models.derived_tensors import derive_tensors
from gnomon.runtime.raw_models.model_file import read_model_file
from gnomon.runtime.raw_models.probe import ModelTensors, derive_kind, is_packed, read_tensors
from gnomon.runtime.raw_models.raw_model_parts import RawModel, no_reference, signature
from gnomon.runtime.raw_models.trial_rows import answer_some, make_rows, select_finite_rows
from gnomon.runtime.raw_models.zip_map import UnwrappedMap, unwrap_zip_maps

__all__ = ["RawModel", "derive_model", "origin", "signature", "write_raw_model"]

logger = logging.getLogger("gnomon.runtime")

#: The longest description of an output, in characters.
_DESCRIPTION = 500


def derive_model(format: str, content: bytes, name: str, columns: Sequence[str] = ()) -> RawModel:
    """Return what a model file by itself tells; `name` is what errors call it.

    `columns` names the columns of the model's only tensor, in order; without them they are called
    by their tensor and number. The inputs of a model with several tensors have names of their own,
    so there `columns` may only repeat these, in any order.

    Args:
        format: "onnx", "tflite" or "trees".
        content: bytes of the model file.
        name: what errors call it.
        columns: names of the columns of the model's one tensor, or of its inputs.

    Raises:
        PackageError: the file is not a model, or its tensors are not rows of numbers.
        ConfigurationError: there are not as many names as columns, or other names than inputs.
        EngineError: the model fails on every row that was tried, or an output's first axis is not
            the rows.
    """
    if format == "onnx":
        content, maps = unwrap_zip_maps(content)
        return _described(_derive(format, content, name, columns), maps)
    return _derive(format, content, name, columns)


def _derive(format: str, content: bytes, name: str, columns: Sequence[str]) -> RawModel:
    """Return what a model tells, as fields or as tensors; arguments as of `derive_model`."""
    tensors = read_tensors(format, content, name)
    may_be_tensors = format == "onnx" and not columns
    if may_be_tensors and not _has_rows_of_numbers(tensors):
        return derive_tensors(content, name)
    try:
        return _derive_fields(format, content, name, columns, tensors)
    except EngineError:
        if not may_be_tensors or any(one.shape[0] != 1 for one in tensors.inputs):
            raise
        # A first axis of 1 need not be that of rows.
        return derive_tensors(content, name)


def _derive_fields(
    format: str, content: bytes, name: str, columns: Sequence[str], tensors: ModelTensors
) -> RawModel:
    """Return what a model of rows of numbers tells; arguments and errors as of `derive_model`."""
    try:
        packing = derive_packing(
            tensors.inputs, tuple(columns) or tensors.columns, nullable=tensors.takes_missing
        )
    except (ContractError, PackageError) as error:
        raise PackageError(f"{name}: {error}") from error
    inputs = packing.contract.fields
    given = tuple(one for one in tensors.outputs if one.dtype is not None)
    if not given:
        raise PackageError(f"{name}: the model gives no tensor of numbers")
    output_tensors = tuple(one.name for one in given)
    rows, columns_of_rows = make_rows(packing.contract)
    places, answers = answer_some(
        format,
        content,
        packing.pack_columns(columns_of_rows),
        output_tensors,
        is_single_row=any(tensor.shape[:1] == (1,) for tensor in tensors.inputs),
        reference=name,
    )
    rows = [rows[place] for place in places]
    names = field_names([tensor.name for tensor in given])
    outputs = tuple(
        Field(name=one, **derive_kind(values)) for one, values in zip(names, answers, strict=True)
    )
    good = tuple(select_finite_rows(rows, answers, outputs, name))
    profile = Profile(inputs, (), outputs, no_reference(inputs), no_reference(outputs))
    left_out = tuple(one.name for one in tensors.outputs if one.dtype is None)
    return RawModel(
        format, content, packing, output_tensors, profile, good, left_out, signature(profile)
    )


def _described(model: RawModel, maps: Sequence[UnwrappedMap]) -> RawModel:
    """Return a model that says of each output that was a map which class each of its columns is."""
    classes = {one.tensor: ", ".join(one.classes) for one in maps}
    outputs = tuple(
        replace(field, description=f"of the classes {classes[tensor]}"[:_DESCRIPTION])
        if tensor in classes
        else field
        for field, tensor in zip(model.profile.outputs, model.output_tensors, strict=True)
    )
    notes = tuple(
        f"The map {one.output!r} is served as the tensor {one.tensor!r}, whose columns are the "
        f"classes {classes[one.tensor]}."
        for one in maps
    )
    return replace(model, profile=replace(model.profile, outputs=outputs), notes=notes)


def _has_rows_of_numbers(tensors: ModelTensors) -> bool:
    """Whether fields can be packed into the inputs, and an output has numbers."""
    return any(one.dtype is not None for one in tensors.outputs) and all(
        is_packed(one) and len(one.shape) == 2 and one.shape[0] in (-1, 1) for one in tensors.inputs
    )


def write_raw_model(path: Path, folder: Path, name: str, version: str) -> Package:
    """Write an unsigned package of a model file as `folder`; say so in the log.

    Its golden rows warm it up; they hold no outputs, since nothing but this file could know them.

    Args:
        path: the model file; its ending or its content says the format.
        folder: the new package; it must not exist, or hold the same.
        name: the model's name.
        version: the version's name.

    Raises:
        ConfigurationError: the file cannot be read.
        PackageError, EngineError: as `derive_model`.
    """
    format, content = read_model_file(path)
    bare = derive_model(format, content, path.name)
    model_file = f"model.{bare.format}"
    manifest = {
        "name": name,
        "version": version,
        "format": bare.format,
        "model_file": model_file,
        "signature": bare.signature,
        "packing": (bare.served or bare.packing).to_dict(),
        "output_tensors": bare.output_tensors,
        "reproducibility": origin(path.name, content),
    }
    files: dict[str, bytes | Path] = {
        model_file: bare.content,
        "profile.json": encode_profile(bare.profile),
        "golden.json": encode_golden(Golden(rows=bare.rows, outputs=({},) * len(bare.rows))),
    }
    package = write_package(folder, manifest, files, None)
    logger.info(
        "%s@%s is the bare file %s: its contract is what its tensors' shapes and types say (%s), "
        "without ranges, categories or a reference to measure drift against",
        name,
        version,
        path,
        ", ".join(f"{one.name} {one.datatype}" for one in package.manifest.signature.inputs),
    )
    for note in bare.notes:
        logger.info("%s@%s: %s", name, version, note)
    if bare.left_out:
        logger.warning(
            "%s@%s: outputs that are not numbers are left out: %s",
            name,
            version,
            ", ".join(bare.left_out),
        )
    return package


def origin(name: str, content: bytes) -> Reproducibility:
    """Return the record of a model whose training is unknown."""
    return Reproducibility(
        code_version="unknown",
        code_clean=False,
        dataset_uri="",
        dataset_fingerprint="",
        split={"kind": "none"},
        parameters={"imported_from": name, "model_sha256": sha256(content)},
    )
