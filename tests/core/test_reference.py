"""References: sound cells for any data, design effects that are known, and a lasting form."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.fields import Field, Kind
from gnomon.core.profiling import build_reference
from gnomon.core.profiling.builder import cells_of
from gnomon.core.profiling.edges import choose_edges, median_and_tie
from gnomon.core.profiling.effect import cells_effect, values_effect
from gnomon.core.reference import FieldReference, PairReference, Reference
from gnomon.core.row import Columns

finite = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1.0, 5e-324, 1.7e308, -1.7e308]),
    st.integers(-5, 5).map(float),
)


def numeric(name):
    return Field(name=name, kind=Kind.FLOAT64)


@given(st.lists(finite, min_size=1, max_size=300), st.integers(1, 40))
def test_edges_increase_and_hold_every_value(values, bins):
    edges = choose_edges(np.array(values), bins)
    assert all(low < high for low, high in pairwise(edges))
    assert edges[0] == min(values)
    assert max(values) <= edges[-1] <= math.nextafter(max(values), math.inf)
    heavy = sum(values.count(value) * bins >= len(values) for value in set(values))
    assert len(edges) - 1 <= bins + 1 + (2 * heavy if 2 * heavy >= bins else 0)


def test_edges_cut_continuous_data_into_equal_bins():
    values = np.random.default_rng(0).normal(size=32_000)
    counts = np.histogram(values, choose_edges(values, 32))[0]
    assert len(counts) == 32 and counts.min() >= 999 and counts.max() <= 1001


def test_a_heavy_value_stands_alone():
    rng = np.random.default_rng(0)
    values = np.where(rng.random(10_000) < 0.4, 0.0, rng.exponential(size=10_000))
    edges = choose_edges(values, 32)
    assert np.histogram(values, edges)[0][0] == (values == 0).sum()


@given(st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=200))
def test_the_signs_around_the_median_are_balanced(values):
    median, tie = median_and_tie(np.array(values), 16)
    signs = [tie if value == median else math.copysign(1, value - median) for value in values]
    ties = values.count(median)
    assert abs(sum(signs)) <= ties / 32 + 1e-9
    assert -1 <= tie <= 1


def test_the_design_effect_of_clusters_is_one_plus_rho_times_their_size():
    rng = np.random.default_rng(1)
    blocks = np.repeat(np.arange(300), 100)
    rho = 0.1
    day = rng.normal(size=300)[blocks]
    values = math.sqrt(rho) * day + math.sqrt(1 - rho) * rng.normal(size=len(blocks))
    assert values_effect(values, blocks) == pytest.approx(1 + 99 * rho, rel=0.15)
    cells = np.searchsorted(np.quantile(values, np.linspace(0, 1, 33)), values)
    assert cells_effect(cells, blocks, 36, ordered=34) == pytest.approx(1 + 99 * rho, rel=0.2)
    shuffled = rng.permutation(cells)
    assert 1.0 <= cells_effect(shuffled, blocks, 36, ordered=34) < 1.35


def test_one_block_and_no_rows_have_no_design_effect():
    assert cells_effect(np.zeros(5, np.int64), np.zeros(5, np.int64), 3) == 1.0
    assert cells_effect(np.zeros(0, np.int64), np.zeros(0, np.int64), 3) == 1.0
    assert values_effect(np.full(4, np.nan), np.arange(4)) == 1.0
    assert values_effect(np.ones(4), np.arange(4)) == 1.0


def sample_columns(rows=3_000):
    rng = np.random.default_rng(7)
    base = rng.normal(size=rows)
    return {
        "base": base,
        "gaps": np.where(rng.random(rows) < 0.1, np.nan, base + rng.normal(size=rows)),
        "small": rng.integers(0, 5, rows).astype(np.int8),
        "flag": rng.random(rows) < 0.2,
        "constant": np.full(rows, 3.5),
        "nothing": [None] * rows,
        "endless": np.where(rng.random(rows) < 0.01, np.inf, base),
        "color": rng.choice(["red", "green", "violet", None], rows),
        "note": rng.choice(["", "abc", None], rows),
    }


def sample_fields():
    kinds = {"small": Kind.INT8, "flag": Kind.BOOL, "note": Kind.STRING}
    fields = [
        Field(name=name, kind=kinds.get(name, Kind.FLOAT64))
        for name in sample_columns(1)
        if name != "color"
    ]
    color = Field(name="color", kind=Kind.CATEGORY, allowed=("red", "green"), monitored=False)
    return [*fields[:7], color, *fields[7:]]


def test_from_columns_describes_every_kind():
    columns = sample_columns()
    reference = build_reference(sample_fields(), columns)
    fields = {one.name: one for one in reference.fields}
    assert reference.rows == 3_000
    assert all(one.rows == 3_000 for one in reference.fields)
    assert fields["base"].bins == 32 and fields["base"].counts[0] == 0
    assert fields["gaps"].counts[-2] == int(np.isnan(columns["gaps"]).sum())
    assert fields["small"].bins == 5
    assert fields["flag"].counts[1:3] == (int((~columns["flag"]).sum()), int(columns["flag"].sum()))
    assert fields["constant"].bins == 1 and fields["constant"].counts[1] == 3_000
    assert fields["nothing"].edges == () and fields["nothing"].counts[-2] == 3_000
    assert (
        fields["endless"].counts[fields["endless"].bins + 1] == np.isinf(columns["endless"]).sum()
    )
    assert math.isfinite(fields["endless"].mean)
    assert fields["note"].minimum == 0 and fields["note"].maximum == 3
    color = [
        sum(value == text for value in columns["color"]) for text in ("red", "green", "violet")
    ]
    assert list(fields["color"].counts[:3]) == color and not fields["color"].monitored


def test_a_window_counts_as_numpy_does():
    columns = sample_columns()
    reference = build_reference(sample_fields(), columns)
    for one in reference.fields:
        if one.kind == "numeric" and one.name not in ("nothing", "note"):
            values = np.asarray(columns[one.name], dtype=np.float64)
            cells = cells_of(one, values, np.where(np.isnan(values), 1, 0).astype(np.uint8))
            assert np.bincount(cells, minlength=one.cells).tolist() == list(one.counts)


def test_pairs_find_what_belongs_together():
    columns = sample_columns()
    reference = build_reference(sample_fields(), columns)
    pairs = {(pair.first, pair.second): pair for pair in reference.pairs}
    both = pairs["base", "gaps"]
    assert both.correlation == pytest.approx(0.67, abs=0.05)
    assert both.counts[0] > 1.5 * both.counts[1]
    assert sum(both.counts) == 3_000
    flag = pairs["base", "flag"]
    assert flag.counts[0] / sum(flag.counts) == pytest.approx(0.5, abs=0.03)
    assert not any("constant" in pair or "nothing" in pair for pair in pairs)
    fields, data = sample_fields(), columns
    assert build_reference(fields, data, pairs="none").pairs == ()
    chosen = build_reference(fields, data, pairs=[("gaps", "base")]).pairs
    assert [(pair.first, pair.second) for pair in chosen] == [("gaps", "base")]


def test_of_many_fields_the_strongest_66_pairs_are_kept():
    rng = np.random.default_rng(2)
    columns = {f"x{index}": rng.normal(size=500) for index in range(20)}
    columns["x7"] = columns["x3"] + 0.1 * rng.normal(size=500)
    fields = [numeric(name) for name in columns]
    reference = build_reference(fields, columns)
    assert len(reference.pairs) == 66
    assert ("x3", "x7") in {(pair.first, pair.second) for pair in reference.pairs}
    assert len(build_reference(fields, columns, pairs="all").pairs) == 190


def test_blocks_give_design_effects():
    rng = np.random.default_rng(3)
    days = np.repeat(np.arange(100), 50)
    columns = {
        "steady": rng.normal(size=5_000),
        "daily": rng.normal(size=5_000) + rng.normal(size=100)[days],
    }
    reference = build_reference([numeric(name) for name in columns], columns, blocks=days)
    steady, daily = reference.fields
    assert 1.0 <= steady.design_effect < 1.6
    assert daily.design_effect == pytest.approx(1 + 49 * 0.5, rel=0.25)
    assert reference.block_rows == 50
    assert reference.pairs[0].design_effect >= 1.0


def test_columns_of_a_contract_give_the_same():
    rng = np.random.default_rng(4)
    values, codes = rng.normal(size=300), rng.integers(-2, 2, 300).astype(np.int32)
    fields = [numeric("x"), Field(name="c", kind=Kind.CATEGORY, allowed=("a", "b"))]
    texts = [{0: "a", 1: "b", -1: None, -2: "z"}[code] for code in codes.tolist()]
    checked = build_reference(fields, Columns([values, codes], None, {1}))
    assert checked == build_reference(fields, {"x": values, "c": texts})


def test_json_keeps_everything_and_the_digest():
    reference = build_reference(sample_fields(), sample_columns(), blocks=np.arange(3000) // 9)
    again = Reference.from_dict(json.loads(json.dumps(reference.to_dict())))
    assert again == reference
    assert again.digest == reference.digest and again.layout == reference.layout


def test_digest_and_layout_are_stable():
    one = FieldReference("x", "numeric", edges=(0.0, 0.5, 1.0), counts=(0, 2, 3, 0, 0, 0))
    reference = Reference((one, FieldReference("c", "category", categories=("a", "b"))), 5)
    assert one.layout == "d75a87ef7b8999fd"
    assert reference.digest[:16] == "7ec18e40591c78d9"
    more = reference.with_counts([[0, 1, 1, 0, 0, 0], [2, 0, 0, 0, 0]])
    assert more.digest != reference.digest and more.layout == reference.layout
    assert more.rows == 2


def test_what_contradicts_itself_is_refused():
    with pytest.raises(ValueError, match="increase strictly"):
        FieldReference("x", "numeric", edges=(0.0, 0.0))
    with pytest.raises(ValueError, match="finite"):
        FieldReference("x", "numeric", edges=(0.0, math.inf))
    with pytest.raises(ValueError, match="expected 5 counts"):
        FieldReference("x", "numeric", edges=(0.0, 1.0), counts=(1, 2))
    with pytest.raises(ValueError, match="no edges"):
        FieldReference("x", "category", edges=(0.0, 1.0))
    with pytest.raises(ValueError, match="no categories"):
        FieldReference("x", "numeric", categories=("a",))
    with pytest.raises(ValueError, match="design effect"):
        FieldReference("x", "numeric", design_effect=0.5)
    with pytest.raises(ValueError, match="kind is 'text'"):
        FieldReference("x", "text")
    x, c = FieldReference("x", "numeric"), FieldReference("c", "category")
    with pytest.raises(ValueError, match="each field once"):
        Reference((x, x))
    with pytest.raises(ValueError, match="two numeric fields"):
        Reference((x, c), pairs=(PairReference("x", "c"),))
    with pytest.raises(ValueError, match="not a reference"):
        Reference.from_dict({"fields": [{"nome": "x"}], "rows": 1})
    with pytest.raises(KeyError):
        Reference((x,)).index("y")


def test_columns_that_do_not_fit_are_refused():
    fields = [numeric("x"), numeric("y")]
    with pytest.raises(ValueError, match="column 'y' is missing"):
        build_reference(fields, {"x": [1.0]})
    with pytest.raises(ValueError, match="differ in length"):
        build_reference(fields, {"x": [1.0], "y": [1.0, 2.0]})
    with pytest.raises(ValueError, match="'x' holds what is not a number"):
        build_reference(fields, {"x": ["a"], "y": [1.0]})
    with pytest.raises(ValueError, match="dimensions"):
        build_reference(fields, {"x": [[1.0]], "y": [1.0]})
    good = {"x": [1.0], "y": [2.0]}
    with pytest.raises(ValueError, match="bins is 0"):
        build_reference(fields, good, bins=0)
    with pytest.raises(ValueError, match="blocks have shape"):
        build_reference(fields, good, blocks=[1, 2])
    with pytest.raises(ValueError, match="pairs is 'some'"):
        build_reference(fields, good, pairs="some")
