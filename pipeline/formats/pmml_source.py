"""Makes a package of a PMML model: compiled to ONNX, compared on recorded rows, profiled."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gnomon.core.contract import Contract
from gnomon.core.fields import Field, Kind
from gnomon.core.packing import Feature, Packing, Tensor
from gnomon.pipeline.build import ModelFile, PackageMetadata, build_package
from gnomon.pipeline.datasets.dataset import Dataset, DatasetError, as_rows
from gnomon.pipeline.pmml.compile import (
    INPUT,
    LABEL,
    NUMBER,
    PROBABILITIES,
    CompiledModel,
    compile_pmml,
)
from gnomon.pipeline.pmml.scores import same_number
from gnomon.pipeline.profiles.profile import build_profile, derive_fields
from gnomon.runtime.errors import PackageError
from gnomon.runtime.models.outputs import OutputReader
from gnomon.runtime.packages.chunks import sha256
from gnomon.runtime.packages.column_names import describe_column, field_names
from gnomon.runtime.packages.manifest import Reproducibility
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer
from gnomon.runtime.raw_models.probe import answer

__all__ = ["TOLERANCE", "import_pmml", "text_inputs"]

#: Sums over trees are computed in 32 bits; relative for numbers above 1.
TOLERANCE = 1e-5
_GOLDEN_ROWS = 20


def text_inputs(content: bytes) -> tuple[str, ...]:
    """Return the names of the document's inputs that are texts.

    Raises:
        PackageError: the document cannot be compiled.
    """
    inputs = compile_pmml(content).inputs
    return tuple(name for name, said in inputs.items() if said["kind"] is Kind.CATEGORY)


def import_pmml(
    content: bytes,
    folder: Path,
    name: str,
    version: str,
    *,
    data: Dataset | None,
    signer: Signer | None,
    about: PackageMetadata | None = None,
) -> Package:
    """Write a package of a PMML document as `folder` and return it, verified.

    `data` are rows with the model's fields: profile and golden samples come from them. A column of
    the name of the document's answer, or of `probability(class)`, has what the model said there;
    so has the document's own `ModelVerification`. All of it must come out again.

    Args:
        content: bytes of the document.
        folder: the package's folder; it must not exist, or hold the same.
        name: the model's name.
        version: the version's name.
        data: rows with the model's fields; None: the document's own ModelVerification.
        signer: whose key signs; None: unsigned.
        about: card, owner and other facts for people.

    Raises:
        PackageError: the document cannot be compiled, or the ONNX model differs on recorded rows.
        DatasetError: there is no row to build a package from.
        Conflict: the folder exists and holds something else.
    """
    compiled = compile_pmml(content)
    verified = _verification_rows(compiled)
    verified = verified and _with_fields(compiled, verified)
    data = _with_fields(compiled, data) if data is not None else verified
    if data is None:
        raise DatasetError(
            "a PMML model without recorded rows (ModelVerification) needs data: a table with its "
            f"fields {', '.join(compiled.inputs)}"
        )
    compared = sum(
        _compare(compiled, rows)
        for rows in {id(one): one for one in (data, verified) if one}.values()
    )
    model, fields, outputs, answers = _run(compiled, data)
    good = _good_rows(model.packing.contract, data, outputs, answers)
    table = data.table.select([field.name for field in fields])
    chosen = good[np.linspace(0, len(good) - 1, min(_GOLDEN_ROWS, len(good))).round().astype(int)]
    return build_package(
        folder,
        name,
        version,
        model=model,
        profile=build_profile(data, fields, outputs, answers),
        golden_rows=as_rows(table.take(pa.array(np.unique(chosen)))),
        reproducibility=Reproducibility(
            code_version="unknown",
            code_clean=False,
            dataset_uri=data.uri,
            dataset_fingerprint=data.fingerprint,
            split={"kind": "none"},
            parameters={
                "imported_from": "pmml",
                "pmml_sha256": sha256(content),
                "compared_answers": compared,
                "tolerance": TOLERANCE,
            },
        ),
        signer=signer,
        about=_with_note(about or PackageMetadata(), compiled, compared),
    )


def _field_names(compiled: CompiledModel) -> dict[str, str]:
    """Return the name of the field of each input."""
    return dict(zip(compiled.inputs, field_names(list(compiled.inputs)), strict=True))


def _with_fields(compiled: CompiledModel, data: Dataset) -> Dataset:
    """Return the data with the document's fields under names that fields can have."""
    missing = [name for name in compiled.inputs if name not in data.table.column_names]
    if missing:
        raise DatasetError(
            f"{data.uri} has no column {missing[0]!r}; the model takes {', '.join(compiled.inputs)}"
        )
    return data.with_aliases({field: name for name, field in _field_names(compiled).items()})


def _with_note(about: PackageMetadata, compiled: CompiledModel, compared: int) -> PackageMetadata:
    note = (
        f"Compiled from PMML to ONNX; {compared} recorded answers came out again within "
        f"{TOLERANCE:g}."
        if compared
        else "Compiled from PMML to ONNX. No recorded answers were at hand to compare with."
    )
    if compiled.classes:
        note += f" The probabilities are those of: {', '.join(compiled.classes)}."
    return replace(about, card="\n\n".join(filter(None, (about.card, note))))


def _run(
    compiled: CompiledModel, data: Dataset
) -> tuple[ModelFile, tuple[Field, ...], tuple[Field, ...], dict[str, NDArray[Any]]]:
    """Return the model, its fields, and its answers for all rows as callers see them."""
    fields = derive_fields(
        data,
        list(_field_names(compiled).values()),
        overrides={
            field: {**({} if field == name else {"description": describe_column(name)}), **said}
            for (name, field), said in zip(
                _field_names(compiled).items(), compiled.inputs.values(), strict=True
            )
        },
    )
    contract = Contract(fields)
    features = tuple(
        Feature(field.name, "code" if field.kind is Kind.CATEGORY else "value") for field in fields
    )
    packing = Packing(contract, [Tensor(INPUT, "FP64", features)])
    outputs, tensors = _outputs(compiled)
    columns, violations = contract.check_columns(data.columns(contract.names))
    if violations is not None and violations.rejected:
        raise DatasetError(
            f"{data.uri}: rows violate the PMML's description of its fields, first "
            f"{violations.describe(1)[0]}"
        )
    found = answer("onnx", compiled.content, packing.pack_columns(columns), list(tensors))
    model = ModelFile(
        format="onnx", content=compiled.content, packing=packing, output_tensors=tensors
    )
    read = OutputReader(outputs[0].name, outputs).read_columns(found, len(data))
    return model, fields, outputs, read


def _outputs(compiled: CompiledModel) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    (output,) = field_names([compiled.output])
    if not compiled.classes:
        return (Field(name=output, kind=Kind.FLOAT64),), (NUMBER,)
    label = Field(name=output, kind=Kind.CATEGORY, allowed=compiled.classes)
    shares = Field(name=PROBABILITIES, kind=Kind.VECTOR, shape=(len(compiled.classes),))
    return (label, shares), (LABEL, PROBABILITIES)


def _good_rows(
    contract: Contract,
    data: Dataset,
    outputs: Sequence[Field],
    answers: Mapping[str, NDArray[Any]],
) -> NDArray[np.int64]:
    _, wrong = Contract(tuple(outputs)).check_columns(dict(answers))
    bad = wrong.rejected_rows(len(data)) if wrong else np.zeros(len(data), np.bool_)
    if bad.all():
        raise DatasetError(f"the model answers no row of {data.uri} with a number")
    return np.flatnonzero(~bad)


def _verification_rows(compiled: CompiledModel) -> Dataset | None:
    """Return the document's recorded rows, with the recorded answers, as a table."""
    found = compiled.verification
    if found is None or not found.rows:
        return None
    columns: dict[str, Any] = {}
    for name, attributes in compiled.inputs.items():
        texts = [row.get(name) or None for row in found.rows]
        kind = attributes["kind"]
        if kind is Kind.CATEGORY:
            columns[name] = pa.array(texts, pa.string())
        elif kind is Kind.BOOL:
            columns[name] = pa.array([text and text == "true" for text in texts], pa.bool_())
        else:
            columns[name] = pa.array([text and float(text) for text in texts], pa.float64())
    for name in {name for row in found.expected for name in row}:
        columns[name] = pa.array([row.get(name) for row in found.expected], pa.string())
    return Dataset(pa.table(columns), "pmml:ModelVerification")


def _compare(compiled: CompiledModel, data: Dataset) -> int:
    """Return the number of recorded answers; raise PackageError if one differs."""
    known = {compiled.output: -1} | {
        f"probability({one})": index for index, one in enumerate(compiled.classes)
    }
    recorded = {name: index for name, index in known.items() if name in data.table.column_names}
    if not recorded:
        return 0
    _, _, _, answers = _run(compiled, data)
    count = 0
    for name, index in recorded.items():
        expected = data.table.column(name).to_pylist()
        given = next(iter(answers.values())) if index < 0 else answers[PROBABILITIES][:, index]
        for row, (one, other) in enumerate(zip(expected, given.tolist(), strict=True)):
            if one is None:
                continue
            count += 1
            if not _agree(one, other, is_label=index < 0 and bool(compiled.classes)):
                raise PackageError(
                    f"the ONNX model differs from what is recorded of {name!r} in row {row} of "
                    f"{data.uri}: expected {one!r}, got {other!r}; at most {TOLERANCE:g} is allowed"
                )
    return count


def _agree(expected: Any, given: Any, *, is_label: bool) -> bool:
    if is_label:
        return str(expected) == str(given) or same_number(str(expected), str(given))
    number = float(expected)
    return bool(abs(number - given) <= TOLERANCE * max(abs(number), 1.0))
