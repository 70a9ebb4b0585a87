"""References and windows that the detectors' tests share."""

import numpy as np
from numpy.typing import NDArray

from gnomon.core.reference import FieldReference

Counts = NDArray[np.int64]


def numeric_reference(seed: int = 0, rows: int = 10_000, bins: int = 32) -> FieldReference:
    values = np.random.default_rng(seed).standard_normal(rows)
    edges = np.quantile(values, np.linspace(0, 1, bins + 1))
    counts = np.histogram(values, edges)[0]
    return FieldReference(
        "speed",
        "numeric",
        edges=tuple(edges.tolist()),
        counts=(0, *(int(count) for count in counts), 0, 100, 0),
    )


def category_reference() -> FieldReference:
    return FieldReference(
        "colour", "category", categories=("red", "blue"), counts=(5000, 5000, 0, 0, 0)
    )


def cells(reference: FieldReference, values: NDArray[np.float64]) -> Counts:
    edges = np.array(reference.edges)
    found = np.searchsorted(edges, values, side="right")
    found[np.isnan(values)] = reference.missing_cell
    return np.bincount(found, minlength=reference.cells).astype(np.int64)
