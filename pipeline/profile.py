"""From a dataset to a profile: fields with the rules that the data suggest, and references.

What is derived is a proposal. Data show what was, not what may be: the lowest temperature of
January is no rule for July. So a range gets a margin, and a person who knows better overrides any
part of a field by name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from gnomon.core.fields import Field, Kind, Rule
from gnomon.core.reference import Reference
from gnomon.pipeline.dataset import Dataset, DatasetError
from gnomon.runtime.profile import Profile

__all__ = ["build_profile", "derive_fields", "with_outputs"]

Overrides = Mapping[str, Mapping[str, Any]]

#: A text of more different values than this is free text, not a category.
_CATEGORIES = 1000
#: Missing values may become so many times as frequent, and then this much more.
_MISSING_FACTOR, _MISSING_EXTRA = 2.0, 0.05
#: Lengths of runs of blocks, in blocks, and how many runs it takes to measure an effect by.
_RUNS, _ENOUGH_RUNS = (2, 3, 5), 10


def derive_fields(
    dataset: Dataset,
    names: Sequence[str],
    *,
    margin: float = 0.5,
    overrides: Overrides | None = None,
) -> tuple[Field, ...]:
    """Return a field for each named column.

    A range is widened on either side by `margin` of its width, but never across zero: what was
    never negative stays so. A text of at most 1,000 values becomes a category of those. A column
    is nullable if it has missing values. `overrides` replaces any of a field's attributes.

    Raises:
        DatasetError: a name is no column, the column's type makes no field, or it holds nothing.
        ContractError: an override contradicts the rest of its field.
    """
    overrides = overrides or {}
    unknown = sorted(set(overrides) - set(names)) + sorted(
        set(names) - set(dataset.table.column_names)
    )
    if unknown:
        raise DatasetError(f"there is no column {unknown[0]!r} to profile")
    return tuple(
        Field(**{"name": name, **_derive(name, dataset, margin), **overrides.get(name, {})})
        for name in names
    )


def build_profile(
    dataset: Dataset,
    inputs: Sequence[Field],
    outputs: Sequence[Field],
    predictions: Mapping[str, ArrayLike],
    *,
    rules: Sequence[Rule] = (),
    blocks: NDArray[Any] | None = None,
    bins: int = 32,
) -> Profile:
    """Return the profile of a model that gives `predictions` for the rows of `dataset`.

    `blocks` has an id a row, by which rows belong together, in order of time (the day): from how
    much blocks and runs of blocks differ come the design effects. All rows count, those without a
    label too: production has them. Fields that are not monitored form no pairs.
    """
    columns = dataset.columns([field.name for field in inputs])
    return Profile(
        tuple(inputs),
        tuple(rules),
        tuple(outputs),
        _reference(inputs, columns, blocks, bins),
        _reference(outputs, _arrays(predictions), blocks, bins),
    )


def with_outputs(
    profile: Profile,
    predictions: Mapping[str, ArrayLike],
    *,
    blocks: NDArray[Any] | None = None,
    bins: int = 32,
) -> Profile:
    """Return the profile of another model over the same rows: only its outputs are counted anew."""
    reference = _reference(profile.outputs, _arrays(predictions), blocks, bins)
    return replace(profile, output_reference=reference)


def _arrays(columns: Mapping[str, ArrayLike]) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(values) for name, values in columns.items()}


def _reference(
    fields: Sequence[Field],
    columns: Mapping[str, NDArray[Any]],
    blocks: NDArray[Any] | None,
    bins: int,
) -> Reference:
    """Return the reference, with effects that last over several blocks and watched pairs only.

    The weather of a day resembles the day's before: evidence that adds up over days must be
    divided by how much runs of days vary, not single ones. So a design effect is the largest over
    runs of blocks, as long as there are enough runs to measure it.
    """
    reference = Reference.from_columns(fields, columns, bins=bins, blocks=blocks)
    watched = {field.name for field in fields if field.monitored}
    pairs = [(one.first, one.second) for one in reference.pairs]
    kept = [pair for pair in pairs if watched.issuperset(pair)]
    reference = replace(
        reference, pairs=tuple(one for one in reference.pairs if (one.first, one.second) in kept)
    )
    if blocks is None:
        return reference
    days, numbers = np.unique(blocks, return_inverse=True)
    for length in _RUNS:
        if len(days) >= length * _ENOUGH_RUNS:
            runs = Reference.from_columns(
                fields, columns, bins=bins, blocks=numbers // length, pairs=kept or "none"
            )
            reference = _with_larger_effects(reference, runs)
    return reference


def _with_larger_effects(reference: Reference, other: Reference) -> Reference:
    fields = tuple(
        replace(one, design_effect=max(one.design_effect, same.design_effect))
        for one, same in zip(reference.fields, other.fields, strict=True)
    )
    pairs = tuple(
        replace(one, design_effect=max(one.design_effect, same.design_effect))
        for one, same in zip(reference.pairs, other.pairs, strict=True)
    )
    return replace(reference, fields=fields, pairs=pairs)


def _derive(name: str, dataset: Dataset, margin: float) -> dict[str, Any]:
    column = dataset.table.column(name)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    if column.null_count == len(column):
        raise DatasetError(f"column {name!r} holds no value to derive a field from")
    share = column.null_count / len(column)
    allowance = min(1.0, share * _MISSING_FACTOR + _MISSING_EXTRA)
    missing = {"nullable": True, "missing_allowance": round(allowance, 3)} if share else {}
    return _kind(name, column, margin) | missing


def _kind(name: str, column: pa.ChunkedArray, margin: float) -> dict[str, Any]:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _text(column)
    if pa.types.is_boolean(kind):
        return {"kind": Kind.BOOL}
    if pa.types.is_integer(kind):
        low, high = _range(column, margin)
        return {"kind": Kind.INT64, "minimum": math.floor(low), "maximum": math.ceil(high)}
    if pa.types.is_floating(kind):
        low, high = _range(column, margin)
        return {"kind": Kind.FLOAT64, "minimum": low, "maximum": high}
    raise DatasetError(f"column {name!r} is of type {kind}; a field holds numbers, texts or bools")


def _text(column: pa.ChunkedArray) -> dict[str, Any]:
    values = sorted(value for value in pc.unique(column).to_pylist() if value is not None)
    if len(values) <= _CATEGORIES:
        return {"kind": Kind.CATEGORY, "allowed": tuple(values)}
    return {"kind": Kind.STRING, "maximum_length": 2 * max(map(len, values))}


def _range(column: pa.ChunkedArray, margin: float) -> tuple[float, float]:
    found = pc.min_max(column).as_py()
    low, high = float(found["min"]), float(found["max"])
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DatasetError("a column with infinite values has no range; clean it first")
    width = margin * (high - low)
    return (
        max(low - width, 0.0) if low >= 0 else low - width,
        min(high + width, 0.0) if high <= 0 else high + width,
    )
