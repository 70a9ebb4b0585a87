"""The window against a naive twin in Python; columns, rows, versions and merges agree exactly."""

import bisect
import json
import math
import pickle
from fractions import Fraction
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.cells.side_counter import can_run_wide
from gnomon.core.reference import FieldReference, PairReference, Reference, ReferenceMismatch
from gnomon.core.row import Columns, Row
from gnomon.core.window import ANSWERED_CODE, FAILED_CODE, FALLBACK_CODE, REFUSED_CODE, Window

OK, MISSING, INVALID, UNSEEN = range(4)
VERSIONS = ["base", "wide"] if can_run_wide() else ["base"]


def numeric(name, edges, median=0.0, tie=0.0, spread=1.0):
    low, high = (edges[0], edges[-1]) if edges else (0.0, 0.0)
    return FieldReference(
        name,
        "numeric",
        edges=tuple(edges),
        mean=median,
        variance=spread**2,
        minimum=low,
        maximum=high,
        median=median,
        tie_sign=tie,
    )


REFERENCE = Reference(
    (
        numeric("even", [-2.0, -1.0, 0.0, 1.0, 2.0]),
        numeric("heavy", [0.0, 1e-6, 1e-3, 1.0, 1e9], median=1e-3, spread=1e6),
        numeric("tied", [0.0, 0.5, 1.5, 2.5, 3.0], median=1.0, tie=-0.3125),
        numeric("constant", [7.0, math.nextafter(7.0, 8.0)], median=7.0, spread=0.0),
        numeric("unknown", []),
        FieldReference("color", "category", categories=("red", "green", "blue")),
    ),
    pairs=(
        PairReference("even", "tied"),
        PairReference("heavy", "even"),
        PairReference("tied", "constant"),
    ),
)
FIELDS = len(REFERENCE.fields)
CATEGORY = FIELDS - 1

numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([-2.0, -1.0, 0.0, -0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 7.0, 1e-6, 1e9]),
    st.floats(-3, 3),
)
entries = st.tuples(numbers, st.sampled_from([OK, OK, OK, MISSING, INVALID]))
colors = st.tuples(
    st.sampled_from([0.0, 1.0, 2.0, -2.0, 3.0]), st.sampled_from([OK, OK, OK, MISSING, UNSEEN])
)
rows = st.tuples(*[entries] * CATEGORY, colors)
# Repeated, so that some are longer than a block.
tables = st.tuples(st.lists(rows, max_size=30), st.sampled_from([1, 1, 1, 5, 9])).map(
    lambda drawn: drawn[0] * drawn[1]
)


def fill(row, entry):
    for field, (value, status) in enumerate(entry):
        row.values[field] = value if status == OK else math.nan
        row.status[field] = status
    return row


def count_rows(table, version="auto"):
    window, row = Window(REFERENCE, version=version), Row(FIELDS)
    for entry in table:
        window.update_row(fill(row, entry))
    return window


def count_columns(table, version="auto"):
    window = Window(REFERENCE, version=version)
    window.update_columns(as_columns(table))
    return window


def as_columns(table):
    arrays = [np.array([entry[field][0] for entry in table]) for field in range(CATEGORY)]
    arrays.append(np.array([entry[CATEGORY][0] for entry in table], dtype=np.int32))
    masks = [np.array([entry[field][1] for entry in table], np.uint8) for field in range(FIELDS)]
    return Columns([array.reshape(-1) for array in arrays], masks, {CATEGORY})


def twin_cell(field, value, status):
    if field.kind == "category":
        known = 0 <= value < len(field.categories)
        cells = {OK: int(value) if known else field.bins, UNSEEN: field.bins}
        return cells.get(status, field.bins + status)
    if status != OK or math.isnan(value):
        return field.invalid_cell if status == INVALID else field.missing_cell
    if not field.edges:
        return 0
    return field.bins if value == field.edges[-1] else bisect.bisect_right(field.edges, value)


def twin_cells(table, index):
    field = REFERENCE.fields[index]
    counts = [0] * field.cells
    for entry in table:
        counts[twin_cell(field, *entry[index])] += 1
    return counts


def present(table, index):
    return [
        entry[index][0]
        for entry in table
        if entry[index][1] == OK and not math.isnan(entry[index][0])
    ]


def twin_sign(field, value):
    tie = Fraction(round(field.tie_sign * 16), 16)
    return 1 if value > field.median else -1 if value < field.median else tie


def twin_pair(table, pair):
    first, second = (REFERENCE.index(name) for name in (pair.first, pair.second))
    complete, signs = 0, Fraction(0)
    for entry in table:
        if all(entry[i][1] == OK and not math.isnan(entry[i][0]) for i in (first, second)):
            complete += 1
            signs += twin_sign(REFERENCE.fields[first], entry[first][0]) * twin_sign(
                REFERENCE.fields[second], entry[second][0]
            )
    concordant = math.floor((complete + signs) / 2 + Fraction(1, 2))
    return [concordant, complete - concordant, len(table) - complete]


@given(tables)
@settings(max_examples=60)
def test_cells_and_pairs_equal_the_naive_twin(table):
    window = count_columns(table)
    assert window.rows == len(table)
    for index in range(FIELDS):
        assert window.cells(index).tolist() == twin_cells(table, index)
    for index, pair in enumerate(REFERENCE.pairs):
        assert window.pair_cells(index).tolist() == twin_pair(table, pair)
    cells = window.read_cells()
    assert [one.tolist() for one in cells.fields] == [twin_cells(table, i) for i in range(FIELDS)]
    assert [one.tolist() for one in cells.pairs] == [twin_pair(table, p) for p in REFERENCE.pairs]
    assert cells.outputs == cells.output_pairs == []


@given(tables)
@settings(max_examples=60)
def test_extremes_are_exact(table):
    window = count_columns(table)
    for index in range(CATEGORY):
        values, found = present(table, index), window.moments(index)
        assert found.count == len(values)
        if values:
            assert (found.minimum, found.maximum) == (min(values), max(values))
        else:
            assert math.isnan(found.mean) and math.isnan(found.minimum)


@given(tables)
@settings(max_examples=60)
def test_moments_are_those_of_values_rounded_to_steps(table):
    window = count_columns(table)
    for index in (0, 2):
        values = [value for value in present(table, index) if abs(value) < 1e3]
        if not values or len(values) < window.moments(index).count:
            continue
        step = REFERENCE.window_layout.fields[index].step
        found = window.moments(index)
        assert found.mean == pytest.approx(np.mean(values), abs=step)
        assert found.variance == pytest.approx(np.var(values), abs=4 * step * (1 + np.std(values)))
        assert not found.clamped


@given(tables)
@settings(max_examples=60)
def test_rows_and_columns_and_versions_count_the_same(table):
    expected = count_rows(table, "base").to_bytes()
    for version in VERSIONS:
        assert count_rows(table, version).to_bytes() == expected
        assert count_columns(table, version).to_bytes() == expected


@given(st.lists(tables, min_size=3, max_size=3))
@settings(max_examples=50)
def test_merge_is_associative_and_commutative_and_loses_nothing(parts):
    a, b, c = (count_columns(part) for part in parts)
    left, right = a.copy(), c.copy()
    left.merge(b)
    left.merge(c)
    right.merge(b)
    right.merge(a)
    whole = count_columns(parts[0] + parts[1] + parts[2])
    assert left.to_bytes() == right.to_bytes() == whole.to_bytes()


def test_a_long_table_in_any_split_counts_the_same():
    rng = np.random.default_rng(1)
    table = [
        [(float(value), int(rng.random() < 0.02)) for value in rng.normal(size=CATEGORY)]
        + [(float(rng.integers(4)), OK)]
        for _ in range(1000)
    ]
    expected = count_rows(table)
    split = Window(REFERENCE)
    for start, stop in ((0, 1), (1, 130), (130, 257), (257, 1000)):
        split.update_columns(as_columns(table[start:stop]))
    assert split == expected
    assert split.cells("color").sum() == 1000


DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float32", "float64"]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_of_column(dtype):
    reference = Reference((numeric("x", [0.0, 1.0, 2.0, 3.0]),))
    values = np.array([0, 1, 1, 0, 1] * 60).astype(dtype)
    window = Window(reference)
    window.update_columns(Columns([values]))
    assert window.cells("x").tolist() == [0, 120, 180, 0, 0, 0, 0]


def test_vectors_are_present_or_missing():
    reference = Reference((FieldReference("image", "category", categories=("present",)),))
    window = Window(reference)
    status = np.array([OK, MISSING, INVALID], dtype=np.uint8)
    window.update_columns(Columns([np.zeros((3, 2), dtype=np.float32)], [status]))
    row = Row(1)
    row.status[0] = OK
    window.update_row(row)
    assert window.cells("image").tolist() == [2, 0, 1, 1]


def test_a_code_without_status_tells_for_itself():
    codes = np.array([0, 2, -1, -2, 9], dtype=np.int32)
    reference = Reference((REFERENCE.fields[CATEGORY], numeric("length", [0.0, 5.0, 10.0])))
    window = Window(reference)
    window.update_columns(Columns([codes, codes], None, {0, 1}))
    assert window.cells("color").tolist() == [1, 0, 1, 2, 1, 0]
    assert window.cells("length").tolist() == [0, 2, 1, 0, 2, 0]


def test_a_change_of_unit_counts_in_full_and_beyond_it_is_reported():
    window = Window(Reference((numeric("x", [0.0, 50.0, 100.0]),)))
    window.update_columns(Columns([np.full(10, 60_000.0)]))
    assert window.moments("x").mean == pytest.approx(60_000.0)
    assert not window.moments("x").clamped
    window.update_columns(Columns([np.full(10, 1e300)]))
    assert window.moments("x").clamped and window.moments("x").maximum == 1e300


def test_correlation_is_pearsons():
    rng = np.random.default_rng(3)
    x = rng.normal(size=5000)
    y = 0.6 * x + rng.normal(size=5000)
    edges = [-4.0, 0.0, 4.0]
    reference = Reference(
        (numeric("x", edges), numeric("y", edges)), pairs=(PairReference("x", "y"),)
    )
    window = Window(reference)
    window.update_columns(Columns([x, y]))
    assert window.correlation(0) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-4)
    x[::3] = np.nan
    gaps = Window(reference)
    gaps.update_columns(Columns([x, y]))
    kept = ~np.isnan(x)
    assert gaps.correlation(0) == pytest.approx(np.corrcoef(x[kept], y[kept])[0, 1], abs=0.03)
    assert math.isnan(Window(reference).correlation(0))


def test_quantiles_lie_within_their_bin():
    rng = np.random.default_rng(4)
    edges = np.linspace(-4, 4, 65)
    window = Window(Reference((numeric("x", edges.tolist()), numeric("free", []))))
    values = rng.normal(size=10_000)
    window.update_columns(Columns([values, values]))
    for share in (0.0, 0.1, 0.5, 0.99, 1.0):
        exact = np.quantile(values, share)
        assert window.quantile("x", share) == pytest.approx(exact, abs=0.125)
        assert window.quantile("free", share) == pytest.approx(exact, rel=1 / 17, abs=0.005)


def test_service_counts():
    window = Window(REFERENCE, rules=3)
    for outcome, rows_seen in ((ANSWERED_CODE, 5), (FALLBACK_CODE, 1), (REFUSED_CODE, 2)):
        window.observe(outcome, 2_000, rows_seen)
    window.observe(FAILED_CODE, 10**18)
    assert window.outcomes == {"answered": 1, "refused": 1, "failed": 1, "fallback": 1}
    assert window.outcome_rows == {"answered": 5, "refused": 2, "failed": 1, "fallback": 1}
    assert window.latency(0.5) == pytest.approx(2_000, rel=1 / 32)
    window.count_violations(np.array([0, 2, 2], dtype=np.uint8))
    assert window.violations.tolist() == [1, 0, 2]


def test_output_side_is_counted_apart():
    outputs = Reference((numeric("price", [0.0, 1.0, 2.0]),))
    window, row = Window(REFERENCE, outputs), Row(1)
    row.values[0], row.status[0] = 1.5, OK
    window.update_output_row(row)
    window.update_output_columns(Columns([np.array([0.5, 3.0])]))
    assert (window.rows, window.output_rows) == (0, 3)
    assert window.output_cells("price").tolist() == [0, 1, 1, 1, 0, 0]
    cells = window.read_cells()
    assert [one.tolist() for one in cells.outputs] == [[0, 1, 1, 1, 0, 0]]
    assert len(cells.fields) == FIELDS and cells.output_pairs == []
    assert window.output_moments("price").maximum == 3.0
    assert window.snapshot()["outputs"]["fields"]["price"]["cells"]["[0, 1)"] == 1


def test_take_starts_again_and_loses_nothing():
    window = Window(REFERENCE, rules=1)
    table = [((1.0, OK),) * CATEGORY + ((0.0, OK),)] * 200
    window.update_columns(as_columns(table))
    window.count_violations([0])
    taken = window.take()
    assert (taken.rows, window.rows) == (200, 0)
    assert window == Window(REFERENCE, rules=1)
    taken.merge(window)
    assert taken.violations.tolist() == [1]
    taken.reset()
    assert taken == window


def test_many_threads_lose_no_count():
    window, each = Window(REFERENCE, rules=2), 2_000
    table = [((1.0, OK),) * CATEGORY + ((0.0, OK),)] * 300

    def work():
        row, columns = fill(Row(FIELDS), table[0]), as_columns(table)
        for turn in range(each):
            window.update_row(row)
            window.observe(ANSWERED_CODE, 1_000)
            if turn % 100 == 0:
                window.update_columns(columns, [1])
                window.to_bytes()

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert window.rows == 4 * (each + 20 * 300)
    assert window.pair_cells(0).sum() == window.rows
    assert window.outcomes["answered"] == 4 * each
    assert window.violations.tolist() == [0, 80]


def test_what_does_not_fit_is_refused_and_nothing_is_counted():
    window = Window(REFERENCE, rules=2)
    with pytest.raises(ValueError, match="3 fields, but the window's reference of inputs has 6"):
        window.update_row(Row(3))
    with pytest.raises(ValueError, match="2 fields"):
        window.update_columns(Columns([np.zeros(1), np.zeros(1)]))
    with pytest.raises(ValueError, match="no reference of outputs"):
        window.update_output_row(Row(1))
    table = as_columns([((1.0, OK),) * CATEGORY + ((0.0, OK),)])
    with pytest.raises(ValueError, match="rule codes 5 to 5"):
        window.update_columns(table, [5])
    with pytest.raises(TypeError, match="whole numbers"):
        window.count_violations([0.5])
    with pytest.raises(ValueError, match="outcome 4"):
        window.observe(4, 1)
    with pytest.raises(ValueError, match="-1 rows"):
        window.observe(0, 1, -1)
    with pytest.raises(ReferenceMismatch, match="rules"):
        window.merge(Window(REFERENCE))
    with pytest.raises(ReferenceMismatch, match="different cells"):
        window.merge(Window(Reference(REFERENCE.fields[:2]), rules=2))
    with pytest.raises(IndexError):
        window.cells(FIELDS)
    with pytest.raises(TypeError, match="'color' is a category"):
        window.moments("color")
    assert window == Window(REFERENCE, rules=2)


def test_processes_can_hand_windows_to_each_other():
    window = count_columns([((1.0, OK),) * CATEGORY + ((0.0, OK),)] * 3)
    window.observe(ANSWERED_CODE, 5)
    again = pickle.loads(pickle.dumps(window))
    assert again == window and again.inputs == REFERENCE
    again.merge(window)
    assert again.rows == 6


def test_a_snapshot_is_json():
    window = count_columns([((math.inf, OK),) * CATEGORY + ((0.0, OK),)])
    text = json.dumps(window.snapshot(), allow_nan=False)
    found = json.loads(text)["inputs"]["fields"]
    assert found["even"]["cells"]["> 2"] == 1 and found["color"]["cells"]["red"] == 1


def test_a_recorder_of_12_fields_is_small():
    fields = tuple(numeric(f"x{index}", np.linspace(0, 1, 33).tolist()) for index in range(12))
    pairs = tuple(
        PairReference(first.name, second.name)
        for first in fields
        for second in fields
        if first.name < second.name
    )
    window = Window(Reference(fields, pairs=pairs), Reference(fields[:1]), 64)
    assert window.nbytes <= 64 * 1024
