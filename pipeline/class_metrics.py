"""Precision, recall and F1 of each class, with intervals that respect blocks such as days.

Precision is the part of the predictions of a class that are right, recall the part of its rows that
are found, F1 the harmonic mean of both. Whole blocks are resampled, as for a regression's errors
(`gnomon.pipeline.metrics`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["class_metrics"]

_RESAMPLES = 400
_CONFIDENCE = 0.95
#: The most frequent classes, of which each has its metrics.
_CLASSES = 10

Numbers = NDArray[np.float64]


def class_metrics(
    truth: Sequence[str | None],
    given: Sequence[str | None],
    *,
    blocks: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Return the metrics of each class, named "late.precision", and `macro_f1`.

    Each has `_low` and `_high`, the bounds of a 95 % interval. Measured are the ten classes with
    the most labels; `macro_f1` is their mean F1. What is not defined, as the precision of a class
    that was never predicted, is left out; F1 is then 0.

    Args:
        truth: the class of each row; None: no label.
        given: the predicted class of each row.
        blocks: the block of each row, shape (rows,); None: each row is its own.
        seed: of the bootstrap.

    Raises:
        ValueError: no row has a label, or lengths differ.
    """
    ids = np.arange(len(truth)) if blocks is None else np.asarray(blocks)
    rows = [
        (label, one, block)
        for label, one, block in zip(truth, given, ids.tolist(), strict=True)
        if label is not None
    ]
    if not rows:
        raise ValueError(f"none of the {len(truth)} rows has a label")
    labelled = Counter(label for label, _, _ in rows)
    classes = sorted(labelled, key=lambda name: (-labelled[name], name))[:_CLASSES]
    _, numbers = np.unique([block for _, _, block in rows], return_inverse=True)
    counts = _count(rows, classes, numbers)
    found = _measure(counts.sum(axis=0), classes)
    drawn = np.random.default_rng(seed).integers(0, len(counts), (_RESAMPLES, len(counts)))
    resampled = [_measure(counts[draw].sum(axis=0), classes) for draw in drawn]
    return found | _bounds(found, resampled)


def _count(
    rows: Sequence[tuple[str, str | None, object]],
    classes: Sequence[str],
    numbers: NDArray[np.int_],
) -> Numbers:
    """Return hits, predictions and labels, of shape (blocks, classes, 3)."""
    counts = np.zeros((int(numbers.max()) + 1, len(classes), 3))
    places = {name: place for place, name in enumerate(classes)}
    for (label, one, _), block in zip(rows, numbers.tolist(), strict=True):
        if label in places:
            counts[block, places[label], 2] += 1
            counts[block, places[label], 0] += label == one
        if one in places:
            counts[block, places[one], 1] += 1
    return counts


def _measure(counts: Numbers, classes: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    scores = []
    for name, (hits, predicted, labelled) in zip(classes, counts.tolist(), strict=True):
        if predicted:
            found[f"{name}.precision"] = hits / predicted
        if labelled:
            found[f"{name}.recall"] = hits / labelled
            found[f"{name}.f1"] = 2 * hits / (predicted + labelled)
            scores.append(found[f"{name}.f1"])
    return found | {"macro_f1": sum(scores) / len(scores)} if scores else found


def _bounds(
    found: Mapping[str, float], resampled: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    """Return the bounds of each metric over the resamples in which it is defined."""
    tail = (1 - _CONFIDENCE) / 2
    bounds: dict[str, float] = {}
    for name in found:
        values = [one[name] for one in resampled if name in one]
        if values:
            low, high = np.quantile(values, [tail, 1 - tail])
            bounds |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    return bounds
