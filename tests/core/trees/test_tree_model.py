"""The loops over trees against a walk in Python, for rows alone and together."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.trees import TreeModel
from gnomon.core.trees.layout import LayoutError, Link, ModelFlag, SetFlag, SlotFlag, TreeWriter
from tests.support.trees import SPECIAL, assert_same_bits, stump

Go = Callable[[np.ndarray], int | list[float]]

NUMERIC = (
    SlotFlag(0),
    SlotFlag.MISSING_LEFT,
    SlotFlag.MISSING_ZERO | SlotFlag.TINY_IS_ZERO,
    SlotFlag.ZERO_IS_MISSING | SlotFlag.MISSING_LEFT,
    SlotFlag.FLOAT32,
)


class Twin:
    """A model as its writer was told it, walked node by node."""

    def __init__(self, random: np.random.Generator, **settings: Any) -> None:
        self.random = random
        self.width = settings.get("leaf_width", 1)
        self.writer = TreeWriter(3, **settings)
        self.trees: list[tuple[int, Go]] = []
        for _ in range(int(random.integers(1, 19))):
            self.nodes: list[tuple[int, int, int, float]] = []
            _, go = self.grow(int(random.integers(0, 5)))
            output = 0 if self.width > 1 else int(random.integers(0, self.writer.outputs))
            self.writer.add_tree(*map(np.array, zip(*self.nodes, strict=True)), output=output)
            self.trees.append((output, go))

    def grow(self, depth: int) -> tuple[int, Any]:
        place = len(self.nodes)
        self.nodes.append((-1, -1, 0, 0.0))
        if depth == 0 or self.random.random() < 0.2:
            values = self.random.standard_normal(self.width).astype(np.float32).tolist()
            number = self.writer.add_values(values) if self.width > 1 else values[0]
            self.nodes[place] = (-1, -1, 0, number)
            return place, lambda row: values
        feature = int(self.random.integers(0, 3))
        slot, number, goes_right = self.split(feature)
        left, go_left = self.grow(depth - 1)
        right, go_right = self.grow(depth - 1)
        self.nodes[place] = (left, right, slot, number)
        return place, lambda row: go_right(row) if goes_right(row[feature]) else go_left(row)

    def split(self, feature: int) -> tuple[int, float, Any]:
        if self.random.random() < 0.2:
            codes = [int(one) for one in self.random.integers(0, 40, 5)]
            flags = SetFlag(int(self.random.integers(0, 4)))
            slot = self.writer.slot(feature, SlotFlag.CATEGORY)
            return slot, self.writer.add_set(codes, flags), lambda x: in_set(x, codes, flags)
        flag = NUMERIC[self.random.integers(0, len(NUMERIC))]
        threshold = float(self.random.choice([-1.0, 0.0, 0.1, 0.5, 3.0, math.inf]))
        slot = self.writer.slot(feature, flag)
        return slot, threshold, lambda x: not see(x, flag) <= threshold

    def scores(self, row: np.ndarray) -> list[float]:
        single = bool(self.writer.flags & ModelFlag.FLOAT_SUMS)
        kind = np.float32 if single else np.float64
        sums = [kind(one) for one in self.writer.starts or [0.0] * self.writer.outputs]
        for output, go in self.trees:
            for place, value in enumerate(go(row)):
                sums[output + place] = kind(sums[output + place] + kind(value))
        return [float(one) for one in sums]


def see(x: float, flag: SlotFlag) -> float:
    """Return a feature as a numeric slot does."""
    with np.errstate(over="ignore"):
        x = float(np.float32(x)) if flag & SlotFlag.FLOAT32 else x
    x = 0.0 if flag & SlotFlag.TINY_IS_ZERO and abs(x) <= np.float32(1e-35) else x
    x = math.nan if flag & SlotFlag.ZERO_IS_MISSING and x == 0 else x
    if x == x:
        return x
    return -math.inf if flag & SlotFlag.MISSING_LEFT else 0.0 if flag & 16 else x


def in_set(x: float, codes: list[int], flags: SetFlag) -> bool:
    """Whether a category goes right."""
    if x != x:
        return bool(flags & SetFlag.MISSING_RIGHT)
    if not 0 <= x <= max(codes) + 0.999:
        return bool(flags & SetFlag.OUTSIDE_RIGHT)
    return int(x) not in codes


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1 << 32),
    shape=st.sampled_from([(1, 1), (3, 1), (3, 3)]),
    single=st.booleans(),
)
def test_the_loops_give_the_bits_of_a_walk(seed: int, shape: tuple[int, int], single: bool) -> None:
    random = np.random.default_rng(seed)
    flags = ModelFlag.FLOAT_SUMS if single else ModelFlag(0)
    twin = Twin(random, outputs=shape[0], leaf_width=shape[1], flags=flags)
    model = TreeModel(twin.writer.to_bytes())
    values = [*SPECIAL, -1.0, 0.1, 0.5, 3.0, 0.5000000000000001, 7.9, 39.0, 1e10]
    rows = random.choice(values, (11, 3))
    expected = np.array([twin.scores(row) for row in rows])
    assert_same_bits(model.scores(rows), expected)
    assert_same_bits(model.scores_alone(rows), expected)


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 63, 64, 65, 130])
def test_any_number_of_rows_is_answered(rows: int) -> None:
    values = np.linspace(-1, 2, rows)[:, None].copy()
    answers = TreeModel(stump().to_bytes()).scores(values)
    assert answers.tolist() == [[1.0 if value > 0.5 else -1.0] for [value] in values.tolist()]


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (Link.IDENTITY, 1.0),
        (Link.SIGMOID, 1 / (1 + math.exp(-1))),
        (Link.EXP, math.exp(1)),
        (Link.SIGNED_SQUARE, 1.0),
        (Link.LOG1P_EXP, math.log1p(math.exp(1))),
        (Link.EXP2_NEGATIVE, -0.5),
        (Link.POSITIVE, 1.0),
        (Link.SOFTMAX, 1.0),
        (Link.ARGMAX, 0.0),
        (Link.SIGMOID_FLOAT, np.float32(1) / np.float32(1 + np.exp(np.float32(-1)))),
    ],
)
def test_a_link_turns_scores_into_answers(link: Link, expected: float) -> None:
    model = TreeModel(stump(link=link).to_bytes())
    assert model.predict(np.array([[1.0]]))[0, 0] == pytest.approx(expected, rel=1e-15)
    assert model.scores(np.array([[1.0]]))[0, 0] == 1.0


def test_sums_are_divided_and_scaled_in_this_order() -> None:
    writer = stump()
    writer.divisor, writer.scale, writer.biases = 3.0, 0.1, [0.7]
    writer.flags |= ModelFlag.SCALES
    assert TreeModel(writer.to_bytes()).scores(np.array([[1.0]]))[0, 0] == 1 / 3.0 * 0.1 + 0.7


def test_a_model_without_trees_answers_its_start() -> None:
    model = TreeModel(TreeWriter(2, starts=[4.5]).to_bytes())
    assert model.scores(np.zeros((9, 2))).tolist() == [[4.5]] * 9


def test_a_node_takes_no_more_than_its_bytes() -> None:
    writer = stump()
    small = len(writer.to_bytes())
    left = np.array([1, 3, 5, -1, -1, -1, -1])
    right = np.where(left < 0, -1, left + 1)
    writer.add_tree(left, right, np.where(left < 0, 0, 1), np.arange(7.0))
    # 3 inner nodes and 4 leaves of 12 bytes each, and an entry of 24.
    assert len(writer.to_bytes()) - small <= 3 * 16 + 4 * 8 + 24 + 8


@pytest.mark.parametrize(
    ("features", "outputs"), [(0, 1), (1, 0), (1 << 21, 1), (10**18, 1), (1, 1 << 15)]
)
def test_a_size_that_no_file_has_is_refused_at_once(features: int, outputs: int) -> None:
    with pytest.raises(LayoutError, match="are possible"):
        TreeWriter(features, outputs)


def test_sets_are_bounded_together() -> None:
    writer = stump()
    with pytest.raises(LayoutError, match="words"):
        for _ in range(20):
            writer.add_set([(1 << 24) - 1], SetFlag(0))


@pytest.mark.parametrize("rows", [np.zeros((2, 2)), np.zeros((2, 1), np.float32), np.zeros(2)])
def test_rows_of_another_form_are_refused(rows: Any) -> None:
    with pytest.raises(ValueError):
        TreeModel(stump().to_bytes()).scores(rows)


@pytest.mark.parametrize(
    ("left", "right"),
    [([0], [0]), ([1, 0], [1, 0]), ([5, -1], [1, -1]), ([1, 2, 1], [2, 1, 2]), ([], [])],
)
def test_nodes_that_are_no_tree_are_not_written(left: list[int], right: list[int]) -> None:
    writer = stump()
    with pytest.raises(LayoutError):
        writer.add_tree(np.array(left), np.array(right), np.ones(len(left)), np.ones(len(left)))
