"""Measures a model on the rows that a recipe tests it with."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gnomon.pipeline.class_metrics import class_metrics
from gnomon.pipeline.metrics import regression_metrics

__all__ = ["SEGMENTS", "measure", "measure_segments"]

#: Without blocks, more rows than this are resampled in this number of runs of neighbours.
_RUNS = 1_000
#: At most this many values of a column are measured separately, each with this many labels.
SEGMENTS, _ENOUGH_ROWS = 20, 30
#: The number of classes of each side that an error names.
_SHOWN = 3


def measure(
    kind: Literal["regression", "classification"],
    labels: NDArray[Any],
    predictions: NDArray[Any],
    blocks: NDArray[np.int64] | None,
) -> dict[str, float]:
    """Return the metrics of a regression, or those of a classification.

    Each has its interval; see `gnomon.pipeline.metrics` and `gnomon.pipeline.class_metrics`.
    Classes are compared as texts.

    Args:
        kind: of the model.
        labels: what was, shape (rows,); NaN or None: no label.
        predictions: what was predicted, shape (rows,).
        blocks: the block of each row, int64 of shape (rows,); None: each row is its own.

    Raises:
        ValueError: no row has a label, or none of the labels is a class that was predicted.
    """
    if kind == "regression":
        return _measure(kind, labels, predictions, blocks)
    _check_classes(labels, predictions)
    truth, given = _classes(labels), _classes(predictions)
    by_class = class_metrics(truth, given, blocks=_runs(blocks, len(truth)))
    return _measure(kind, labels, predictions, blocks) | by_class


def _check_classes(labels: NDArray[Any], predictions: NDArray[Any]) -> None:
    """Refuse labels and predictions without a class in common: one of them is something else."""
    truth = {name for label in labels.tolist() if (name := _class(label)) is not None}
    given = {str(_class(prediction)) for prediction in predictions.tolist()}
    if truth and not truth & given:
        raise ValueError(
            f"no label is a class of the predictions: {_shown(truth)}, but predicted are "
            f"{_shown(given)}; measure an output that gives the class (test.output)"
        )


def _shown(classes: set[str]) -> str:
    return ", ".join(sorted(classes)[:_SHOWN])


def _measure(
    kind: Literal["regression", "classification"],
    labels: NDArray[Any],
    predictions: NDArray[Any],
    blocks: NDArray[np.int64] | None,
) -> dict[str, float]:
    blocks = _runs(blocks, len(labels))
    if kind == "regression":
        return regression_metrics(labels, predictions, blocks=blocks)
    truth, given = _classes(labels), _classes(predictions)
    right = np.array([np.nan if label is None else 0.0 for label in truth])
    wrong = [float(one != other) for one, other in zip(truth, given, strict=True)]
    found = regression_metrics(right, wrong, blocks=blocks)
    kept = {"error_rate": "mae", "error_rate_low": "mae_low", "error_rate_high": "mae_high"}
    return {name: found[key] for name, key in (kept | {"rows": "rows", "blocks": "blocks"}).items()}


def _runs(blocks: NDArray[np.int64] | None, rows: int) -> NDArray[np.int64] | None:
    """Return the blocks of rows, shape (rows,): runs of neighbours if there are many rows."""
    if blocks is not None or rows <= _RUNS:
        return blocks
    return np.arange(rows, dtype=np.int64) * _RUNS // rows


def measure_segments(
    kind: Literal["regression", "classification"],
    labels: NDArray[Any],
    predictions: NDArray[Any],
    blocks: NDArray[np.int64] | None,
    segments: Mapping[str, NDArray[Any]],
) -> dict[str, dict[str, float]]:
    """Return the metrics of the rows of each value of each column in `segments`, by `column=value`.

    The most frequent values of a column are measured, at most `SEGMENTS` of them, if there are
    enough labels for an interval to mean something.

    Args:
        kind: of the model.
        labels: what was, shape (rows,); NaN or None: no label.
        predictions: what was predicted, shape (rows,).
        blocks: the block of each row, int64 of shape (rows,); None: each row is its own.
        segments: column → its value in each row, shape (rows,).
    """
    found: dict[str, dict[str, float]] = {}
    labelled = np.array([_class(label) is not None for label in labels.tolist()], dtype=np.bool_)
    for column, values in segments.items():
        texts = np.array([_class(value) or "(missing)" for value in values.tolist()], dtype=object)
        names, counts = np.unique(texts[labelled].astype(str), return_counts=True)
        order = np.argsort(-counts, kind="stable")[:SEGMENTS]
        for name in sorted(names[order[counts[order] >= _ENOUGH_ROWS]].tolist()):
            rows = texts == name
            part = None if blocks is None else blocks[rows]
            found[f"{column}={name}"] = _measure(kind, labels[rows], predictions[rows], part)
    return found


def _classes(values: NDArray[Any]) -> list[str | None]:
    return [_class(value) for value in values.tolist()]


def _class(value: Any) -> str | None:
    """Return a class as text, so that 1, 1.0 and "1" are the same; None if it is missing."""
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
