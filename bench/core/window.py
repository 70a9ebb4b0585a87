"""The window against comparable libraries, in CPU time: `python -m gnomon.bench.core.window`.

All alternate in one process, so that other load on the machine affects them all. The figures are
the least CPU time of the rounds. The peers count less: boost-histogram counts neither moments nor
missing values, KLL is a sketch, NumPy counts bins and sums, Numba's loop bins, sums and extremes.
A promise without a peer is compared with its own limit.
"""

import math
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.bench.core.contract import CostComparison
from gnomon.core.fields import Field, Kind
from gnomon.core.profiling import build_reference
from gnomon.core.reference import Reference
from gnomon.core.row import Columns, Row
from gnomon.core.window import Window

__all__ = ["main", "run"]

FIELDS = 12
ROWS = 50_000
CALLS = 5_000
BINS = 32
ROUNDS = 15
MISSING = 0.02

Values = NDArray[np.float64]
Call = Callable[[], Any]


class SizeComparison(CostComparison):
    """A comparison of bytes."""

    def __str__(self) -> str:
        """Print bytes like costs."""
        figures = f"{self.ours:10.0f} {self.peer:10.0f} bytes {self.unit}"
        return f"{self.what:62} {figures}  x {self.ratio:.3f}  must be <= {self.must}"


def run(rounds: int = ROUNDS) -> list[CostComparison]:
    """Measure columns, rows and sizes; peers that are not installed are left out."""
    values = _values()
    fields = [Field(name=f"x{index}", kind=Kind.FLOAT64) for index in range(FIELDS)]
    columns = {field.name: column for field, column in zip(fields, values, strict=True)}
    plain = build_reference(fields, columns, bins=BINS, pairs="none")
    paired = build_reference(fields, columns, bins=BINS)
    return [
        *_columns(values, plain, paired, rounds),
        *_rows(values, plain, paired, rounds),
        *_sizes(values, paired),
    ]


def main() -> None:
    """Print the comparisons."""
    for result in run():
        print(result)


def _values() -> Values:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(FIELDS, ROWS))
    values[FIELDS // 2 :] = np.exp(values[FIELDS // 2 :])
    values[rng.random(values.shape) < MISSING] = np.nan
    return values


def _least(calls: dict[str, Call], rounds: int) -> dict[str, float]:
    """Return the least CPU time of each call in ns, all run in turn."""
    best = dict.fromkeys(calls, math.inf)
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time_ns()
            call()
            best[name] = min(best[name], time.process_time_ns() - start)
    return best


def _columns(
    values: Values, plain: Reference, paired: Reference, rounds: int
) -> list[CostComparison]:
    data = Columns(list(values))
    window, with_pairs = Window(plain), Window(paired)
    peers = _column_peers(values, plain)
    calls = {
        "window": lambda: window.update_columns(data),
        "pairs": lambda: with_pairs.update_columns(data),
        **peers,
    }
    cost = {name: least / values.size for name, least in _least(calls, rounds).items()}
    what = f"{BINS} bins, moments, missing, in columns"
    best = min(peers, key=lambda name: cost[name])
    results = [
        CostComparison(f"{what} | {name}", "value", cost["window"], cost[name]) for name in peers
    ]
    results.append(
        CostComparison(f"{what} | best: {best}", "value", cost["window"], cost[best], must=1 / 6)
    )
    results.append(CostComparison(f"{what} | promise", "value", cost["window"], 5.0, must=1.0))
    pairs = f"the same with co-moments and signs of {len(paired.pairs)} pairs | without"
    results.append(CostComparison(pairs, "value", cost["pairs"], cost["window"]))
    return results


def _column_peers(values: Values, reference: Reference) -> dict[str, Call]:
    edges = [np.array(field.edges) for field in reference.fields]
    peers: dict[str, Call] = {"numpy": lambda: _numpy_columns(values, edges)}
    boost, sketches, numba = (
        _installed(name) for name in ("boost_histogram", "datasketches", "numba")
    )
    if boost:
        histograms = [boost.Histogram(boost.axis.Variable(edge)) for edge in edges]
        peers["boost-histogram"] = lambda: [
            histogram.fill(column) for histogram, column in zip(histograms, values, strict=True)
        ]
    if sketches:
        kll = [sketches.kll_doubles_sketch(200) for _ in edges]
        peers["KLL"] = lambda: [
            sketch.update(column) for sketch, column in zip(kll, values, strict=True)
        ]
    if numba:
        loop = _numba_row(numba)
        cells, sums = np.zeros((FIELDS, BINS + 3)), np.zeros((FIELDS, 4))
        table, borders = np.ascontiguousarray(values.T), np.array(edges)
        peers["Numba"] = lambda: loop(table, borders, cells, sums)
        peers["Numba"]()
    return peers


def _installed(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


def _numpy_columns(values: Values, edges: list[Values]) -> None:
    for column, edge in zip(values, edges, strict=True):
        present = column[~np.isnan(column)]
        np.bincount(np.searchsorted(edge, present, side="right"), minlength=BINS + 2)
        present.sum(), (present * present).sum(), present.min(), present.max()


def _numba_row(numba: Any) -> Any:
    """Compile what a skilled user of Numba would write: bins, sums, extremes."""

    def loop(table: Any, edges: Any, cells: Any, sums: Any) -> None:
        for row in range(table.shape[0]):
            for field in range(table.shape[1]):
                value = table[row, field]
                if value != value:
                    cells[field, -1] += 1
                    continue
                cells[field, np.searchsorted(edges[field], value, side="right")] += 1
                sums[field, 0] += value
                sums[field, 1] += value * value
                sums[field, 2] = min(sums[field, 2], value)
                sums[field, 3] = max(sums[field, 3], value)

    return numba.njit(loop)


def _rows(values: Values, plain: Reference, paired: Reference, rounds: int) -> list[CostComparison]:
    rows = [_row(values[:, index]) for index in range(64)]
    window, with_pairs = Window(plain), Window(paired)
    calls = {
        "window": lambda: _each(window.update_row, rows),
        "pairs": lambda: _each(with_pairs.update_row, rows),
    }
    numba = _installed("numba")
    if numba:
        loop = _numba_row(numba)
        edges = np.array([field.edges for field in plain.fields])
        cells, sums = np.zeros((FIELDS, BINS + 3)), np.zeros((FIELDS, 4))
        tables = [row.values.reshape(1, -1) for row in rows]
        calls["Numba"] = lambda: _each(lambda table: loop(table, edges, cells, sums), tables)
        calls["Numba"]()
    cost = {name: least / CALLS for name, least in _least(calls, rounds).items()}
    what = f"one row of {FIELDS} into a window"
    results = [CostComparison(f"{what} | promise", "row", cost["window"], 400.0, must=1.0)]
    if numba:
        results.append(CostComparison(f"{what} | Numba", "row", cost["window"], cost["Numba"]))
    pairs = f"the same with {len(paired.pairs)} pairs | promise"
    return [*results, CostComparison(pairs, "row", cost["pairs"], 400.0, must=1.0)]


def _row(values: Values) -> Row:
    row = Row(FIELDS)
    row.values[:] = values
    row.status[:] = np.isnan(values)
    return row


def _each(call: Callable[[Any], Any], items: list[Any]) -> None:
    for turn in range(CALLS):
        call(items[turn & 63])


def _sizes(values: Values, reference: Reference) -> list[CostComparison]:
    window = Window(reference, rules=64)
    window.update_columns(Columns(list(values)))
    for latency in np.random.default_rng(2).lognormal(13, 0.4, 2_000):
        window.observe(0, int(latency))
    numbers, pairs = len(reference.fields), len(reference.pairs)
    what = f"a window of {numbers} numeric fields, {pairs} pairs, {ROWS} rows"
    promises = (("sent", float(len(window.to_bytes())), 1536.0), ("held", window.nbytes, 65536.0))
    return [
        SizeComparison(f"{what} | promise", how, size, most, must=1.0)
        for how, size, most in promises
    ]


if __name__ == "__main__":
    main()
