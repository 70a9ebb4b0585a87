"""The interface of the drift evaluation, Gnomon's detectors behind it, and those in common use."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gnomon.bench.drift_detection.streams import Table, Values
from gnomon.core.detectors import SeasonDetector
from gnomon.core.fields import Field, Kind
from gnomon.core.profiling import build_reference
from gnomon.core.reference import Reference
from gnomon.core.row import Columns
from gnomon.core.window import Window


class DriftDetector(Protocol):
    """What the evaluation needs of a detector."""

    def fit(self, references: Sequence[Table]) -> None:
        """Learn the training data: one table, or one for each segment of the calendar."""

    def update(self, window: Table) -> Sequence[str]:
        """Take one window; return the fields that the alarm names, empty for no alarm."""


class Gnomon:
    """Counts windows as a node does, and watches them as the hub does.

    Args:
        windows_per_false_alarm: the promise.
        tolerance: a change below it does not matter, in σ.
    """

    def __init__(self, windows_per_false_alarm: float = 10_000, tolerance: float = 0.0) -> None:
        self._windows = windows_per_false_alarm
        self._tolerance = tolerance

    def fit(self, references: Sequence[Table]) -> None:
        """Profile each segment."""
        self._references = {one.segment: profile(one) for one in references}
        self._detector = SeasonDetector(
            self._references, windows_per_false_alarm=self._windows, tolerance=self._tolerance
        )

    def update(self, window: Table) -> Sequence[str]:
        """Count the window's cells and take them."""
        fields, pairs = count(self._references[window.segment], window)
        return [alarm.field for alarm in self._detector.update(window.segment, fields, pairs)]


def profile(one: Table, bins: int = 32) -> Reference:
    """Build the reference of a table as a builder would."""
    fields, columns = [], {}
    for name, values in one.columns.items():
        if name in one.levels:
            names = [f"{level:04d}" for level in range(one.levels[name])]
            fields.append(Field(name=name, kind=Kind.CATEGORY, allowed=tuple(names), nullable=True))
            texts = np.array([*names, None], dtype=object)
            columns[name] = texts[values.astype(np.int64)]
        else:
            unit = one.units.get(name)
            fields.append(Field(name=name, kind=Kind.FLOAT64, nullable=True, unit=unit))
            columns[name] = values
    return build_reference(fields, columns, bins=bins, blocks=one.blocks)


def count(
    reference: Reference, window: Table
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Count a table in a window; return the cells of each field and of each pair, int64 vectors."""
    codes = [index for index, name in enumerate(window.columns) if name in window.levels]
    arrays: list[NDArray[Any]] = [
        values.astype(np.int32) if name in window.levels else np.ascontiguousarray(values)
        for name, values in window.columns.items()
    ]
    counted = Window(reference)
    counted.update_columns(Columns(arrays, None, codes))
    cells = counted.read_cells()
    return cells.fields, cells.pairs


class _PerField:
    """Compares each field of a window with the pooled reference, window by window."""

    def fit(self, references: Sequence[Table]) -> None:
        self._levels = references[0].levels
        self._reference = {
            name: np.concatenate([one.columns[name] for one in references])
            for name in references[0].columns
        }
        self._prepare()

    def _prepare(self) -> None:
        self._sorted = {
            name: np.sort(values[~np.isnan(values)])
            for name, values in self._reference.items()
            if name not in self._levels
        }

    def update(self, window: Table) -> Sequence[str]:
        return [name for name, values in window.columns.items() if self._differs(name, values)]

    def _differs(self, name: str, values: Values) -> bool:
        raise NotImplementedError


class KolmogorovSmirnov(_PerField):
    """Two-sample KS for numbers, χ² for categories; alarm if p < `level`."""

    def __init__(self, level: float) -> None:
        self._level = level

    def _differs(self, name: str, values: Values) -> bool:
        if name in self._levels:
            return self._chi_square(name, values) < self._level
        values = np.sort(values[~np.isnan(values)])
        known = self._sorted[name]
        both = np.concatenate([known, values])
        first = np.searchsorted(known, both, side="right") / len(known)
        second = np.searchsorted(values, both, side="right") / len(values)
        distance = float(np.abs(first - second).max())
        size = np.sqrt(len(known) * len(values) / (len(known) + len(values)))
        root = (size + 0.12 + 0.11 / size) * distance  # Stephens 1970
        terms = np.arange(1, 101)
        chance = 2 * np.sum((-1.0) ** (terms - 1) * np.exp(-2 * terms**2 * root**2))
        return bool(chance < self._level) and root > 0.3

    def _chi_square(self, name: str, values: Values) -> float:
        from scipy.stats import chi2_contingency

        levels = self._levels[name]
        table = np.array(
            [
                np.bincount(rows[rows >= 0].astype(np.int64), minlength=levels)
                for rows in (self._reference[name], values)
            ]
        )
        return float(chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue)


class PopulationStability(_PerField):
    """PSI on ten quantile bins, or on the levels of a category; alarm above `limit`."""

    def __init__(self, limit: float = 0.2, bins: int = 10) -> None:
        self._limit, self._bins = limit, bins

    def _prepare(self) -> None:
        super()._prepare()
        inner = np.linspace(0, 1, self._bins + 1)[1:-1]
        self._edges = {
            name: np.unique(np.quantile(values, inner)) for name, values in self._sorted.items()
        }
        self._shares = {name: self._count(name, values) for name, values in self._reference.items()}

    def _count(self, name: str, values: Values) -> Values:
        if name in self._levels:
            cells, size = values.astype(np.int64) + 1, self._levels[name] + 1
        else:
            present = values[~np.isnan(values)]
            cells = np.searchsorted(self._edges[name], present)
            size = len(self._edges[name]) + 1
        counts = np.bincount(cells, minlength=size)
        shares: Values = np.maximum(counts / counts.sum(), 1e-4)
        return shares

    def _differs(self, name: str, values: Values) -> bool:
        now, before = self._count(name, values), self._shares[name]
        return float(((now - before) * np.log(now / before)).sum()) > self._limit


class River:
    """A detector of river on every value of every field, standardised by the reference."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def fit(self, references: Sequence[Table]) -> None:
        """Start a detector a field."""
        self._scale: dict[str, tuple[float, float]] = {}
        for name in references[0].columns:
            values = np.concatenate([one.columns[name] for one in references])
            self._scale[name] = (float(np.nanmean(values)), float(np.nanstd(values)) or 1.0)
        self._detectors = {name: self._make() for name in self._scale}

    def update(self, window: Table) -> Sequence[str]:
        """Feed the rows one by one."""
        accused = []
        for name, values in window.columns.items():
            mean, deviation = self._scale[name]
            detector, found = self._detectors[name], False
            for value in ((values[~np.isnan(values)] - mean) / deviation).tolist():
                detector.update(value)
                found = found or detector.drift_detected
            if found:
                accused.append(name)
        return accused


def baselines() -> dict[str, Callable[[], DriftDetector]]:
    """Return the detectors in common use; those of river and SciPy if these are installed."""
    found: dict[str, Callable[[], DriftDetector]] = {"PSI > 0.2": PopulationStability}
    try:
        import scipy.stats  # noqa: F401
    except ImportError:
        pass
    else:
        found["KS/χ² p < 0.05"] = lambda: KolmogorovSmirnov(0.05)
        found["KS/χ² Bonferroni 0.001"] = lambda: KolmogorovSmirnov(0.001 / 12)
    try:
        from river.drift import ADWIN, PageHinkley
    except ImportError:
        return found
    found["ADWIN (river)"] = lambda: River(ADWIN)
    found["Page-Hinkley (river)"] = lambda: River(PageHinkley)
    return found
