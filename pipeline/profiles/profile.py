"""Derives a profile from a dataset: fields with the rules that the data suggest, and references.

The result is a proposal. Data show which values occurred, not which are valid: the lowest
temperature of January is no rule for July. So a range gets a margin, and overrides replace any
attribute of a field by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from gnomon.core.fields import Field, Rule
from gnomon.core.profiling import build_reference
from gnomon.core.reference import Reference
from gnomon.pipeline.datasets.column_facts import attributes, describe_column, is_empty
from gnomon.pipeline.datasets.dataset import Dataset, DatasetError
from gnomon.pipeline.profiles.effects import ENOUGH_RUNS, RUNS
from gnomon.runtime.packages.profile import Profile

__all__ = ["build_profile", "derive_fields", "with_outputs"]

Overrides = Mapping[str, Mapping[str, Any]]


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
    of whole numbers becomes an int64 field, or a float64 one, which rounds, if a number is beyond
    ±`LARGEST_WHOLE`. A column is nullable if it has missing values. One without values needs a kind
    among its overrides.
    `overrides` replaces any of a field's attributes.

    Args:
        dataset: the training data.
        names: the columns.
        margin: by how much of its width a range is widened on either side.
        overrides: field → attributes that replace those derived.

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
        Field(
            **{
                "name": name,
                **_derived(name, dataset.table.column(name), margin, overrides.get(name, {})),
                **overrides.get(name, {}),
            }
        )
        for name in names
    )


def _derived(
    name: str, column: pa.ChunkedArray, margin: float, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a column suggests; one without values suggests nothing if its kind is given."""
    if "kind" in given and is_empty(column):
        return {"nullable": True, "missing_allowance": 1.0}
    return attributes(describe_column(name, column), margin)


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

    Args:
        dataset: the rows.
        inputs: fields of the model's inputs.
        outputs: fields of its outputs.
        predictions: output → values for each row, shape (rows,) or (rows, width).
        rules: over the inputs.
        blocks: an id for each row, shape (rows,); None: each row is its own block.
        bins: of a numeric field.
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
    """Return the profile of another model over the same rows: only outputs are counted again.

    Args:
        profile: of the first model.
        predictions: output → values for each row, shape (rows,) or (rows, width).
        blocks: an id for each row, shape (rows,); None: each row is its own block.
        bins: of a numeric field.
    """
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
    reference = build_reference(fields, columns, bins=bins, blocks=blocks)
    watched = {field.name for field in fields if field.monitored}
    pairs = [(one.first, one.second) for one in reference.pairs]
    kept = [pair for pair in pairs if watched.issuperset(pair)]
    reference = replace(
        reference, pairs=tuple(one for one in reference.pairs if (one.first, one.second) in kept)
    )
    if blocks is None:
        return reference
    days, numbers = np.unique(blocks, return_inverse=True)
    for length in RUNS:
        if len(days) >= length * ENOUGH_RUNS:
            runs = build_reference(
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
