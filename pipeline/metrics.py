"""Errors of a regression's predictions, with intervals that respect blocks such as days.

Errors of one day share its weather, so rows are not independent, and a bootstrap over rows would
be too narrow. Whole blocks (days) are sampled instead: the block bootstrap (Efron and Tibshirani,
"An Introduction to the Bootstrap", 1993, ch. 8). With few blocks the intervals are rough.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["regression_metrics"]

_RESAMPLES = 400
_CONFIDENCE = 0.95
#: Squares of errors up to this are finite in any sum.
_LARGEST_ERROR = 1e100


def regression_metrics(
    labels: ArrayLike,
    predictions: ArrayLike,
    *,
    blocks: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Return `mae`, `rmse`, `p90_absolute_error` and `bias`, each with `_low` and `_high`.

    The bounds are a 95 % interval; `bias` is the mean of prediction − label; `rows` and `blocks`
    say how many there were. All are in the unit of the labels. Rows without a label are left out.
    `blocks` has an id a row (None: each row is its own).

    Args:
        labels: what was, shape (rows,); NaN: no label.
        predictions: what was predicted, shape (rows,).
        blocks: the block of each row, shape (rows,); None: each row is its own.
        seed: of the bootstrap.

    Raises:
        ValueError: if no row has a label, lengths differ, or an error is not finite or so large
            that its square would not be.
    """
    expected = np.asarray(labels, dtype=np.float64)
    given = np.asarray(predictions, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        errors = given - expected
    ids = np.arange(len(expected)) if blocks is None else np.asarray(blocks)
    known = ~np.isnan(expected)
    if not known.any():
        raise ValueError(f"none of the {len(expected)} rows has a label")
    _check_errors(given, expected, errors)
    errors, (_, ids) = errors[known], np.unique(ids[known], return_inverse=True)
    order = np.argsort(np.abs(errors), kind="stable")
    errors, ids = errors[order], ids[order]
    count = int(ids.max()) + 1
    parts = (np.ones_like(errors), np.abs(errors), errors**2, errors)
    sums = np.stack([np.bincount(ids, part, count).astype(np.float64) for part in parts])
    result = _measure(np.ones(count), sums, errors, ids)
    drawn = _resample(sums, errors, ids, seed)
    tail = (1 - _CONFIDENCE) / 2
    for name in list(result):
        low, high = np.quantile([one[name] for one in drawn], [tail, 1 - tail])
        result |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    return result | {"rows": float(len(errors)), "blocks": float(count)}


def _check_errors(
    given: NDArray[np.float64], expected: NDArray[np.float64], errors: NDArray[np.float64]
) -> None:
    """Refuse errors that no sum holds; raises `ValueError`, which names the first row."""
    wrong = np.flatnonzero(~np.isnan(expected) & ~(np.abs(errors) <= _LARGEST_ERROR))
    if len(wrong):
        row = wrong[0]
        raise ValueError(
            f"the errors of {len(wrong)} rows are not finite or above {_LARGEST_ERROR:g}; the "
            f"first, row {row + 1}, has the label {expected[row]} and the prediction {given[row]}"
        )


def _resample(
    sums: NDArray[np.float64], errors: NDArray[np.float64], ids: NDArray[Any], seed: int
) -> list[Mapping[str, float]]:
    count = sums.shape[1]
    draws = np.random.default_rng(seed).integers(0, count, size=(_RESAMPLES, count))
    return [
        _measure(np.bincount(draw, minlength=count).astype(float), sums, errors, ids)
        for draw in draws
    ]


def _measure(
    weights: NDArray[np.float64],
    sums: NDArray[np.float64],
    errors: NDArray[np.float64],
    ids: NDArray[Any],
) -> dict[str, float]:
    """Return the metrics if each block counts `weights` times; errors are sorted by size."""
    rows, absolute, squared, signed = sums @ weights
    rank = np.searchsorted(np.cumsum(weights[ids]), 0.9 * rows)
    return {
        "mae": float(absolute / rows),
        "rmse": float(np.sqrt(squared / rows)),
        "p90_absolute_error": float(np.abs(errors[min(int(rank), len(errors) - 1)])),
        "bias": float(signed / rows),
    }
