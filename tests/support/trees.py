"""Trees by hand, and rows that find the differences between two that run them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gnomon.core.trees.layout import Link, ModelFlag, SlotFlag, TreeWriter

Numbers = NDArray[np.float64]

SPECIAL = (np.nan, 0.0, -0.0, 1e-36, -1e-36, 1e-35, 5e-324, 1e300, -1e300, np.inf, -np.inf)


def stump(*, link: Link = Link.IDENTITY) -> TreeWriter:
    """Return a model of one feature: -1 up to 0.5, else 1."""
    writer = TreeWriter(1, link=link, flags=ModelFlag.TAKES_MISSING)
    slot = writer.slot(0, SlotFlag(0))
    left, right = np.array([1, -1, -1]), np.array([2, -1, -1])
    writer.add_tree(left, right, np.array([slot, 0, 0]), np.array([0.5, -1.0, 1.0]))
    return writer


def hostile_rows(
    rows: Numbers,
    thresholds: Mapping[int, Sequence[float]],
    special: Sequence[float] = SPECIAL,
    count: int = 2_000,
) -> Numbers:
    """Return rows like the given ones with special values, and values at and beside thresholds.

    Args:
        rows: what the model was trained on.
        thresholds: feature → where trees split it.
        special: what is put anywhere.
        count: how many rows to make.
    """
    random = np.random.default_rng(1)
    made = rows[random.integers(0, len(rows), count)].copy()
    mask = random.random(made.shape) < 0.1
    made[mask] = random.choice(special, mask.sum())
    for feature, values in thresholds.items():
        mask = random.random(count) < 0.4
        finite = np.asarray(values)[np.isfinite(values)]
        chosen = random.choice(finite, mask.sum())
        side = random.choice([0.0, np.inf, -np.inf], mask.sum())
        beside = np.where(side == 0, chosen, np.nextafter(chosen, side))
        with np.errstate(over="ignore"):
            single = chosen.astype(np.float32)
            coarse = np.nextafter(single, np.where(side == 0, single, side).astype(np.float32))
        is_coarse = (random.random(mask.sum()) < 0.5) & np.isfinite(coarse)
        made[mask, feature] = np.where(is_coarse, coarse, beside)
    return made


def assert_same_bits(ours: Numbers, theirs: NDArray[np.floating]) -> None:
    """Compare two arrays bit for bit, in the precision of the second; any NaN equals any other."""
    got = ours.reshape(theirs.shape).astype(theirs.dtype)
    whole = np.int64 if theirs.dtype == np.float64 else np.int32
    differ = (got.view(whole) != theirs.view(whole)) & ~(np.isnan(got) & np.isnan(theirs))
    assert not differ.any(), (int(differ.sum()), got[differ][:3], theirs[differ][:3])


def assert_within_one_ulp(ours: Numbers, theirs: NDArray[np.floating]) -> None:
    """Compare two arrays up to the number beside, in the precision of the second."""
    got = ours.reshape(theirs.shape).astype(theirs.dtype)
    far = np.abs(got - theirs) > np.spacing(np.maximum(np.abs(got), np.abs(theirs)))
    assert not far.any(), (int(far.sum()), got[far][:3], theirs[far][:3])


def classifier(features: int = 3) -> TreeWriter:
    """Return a model of two classes with missing values, trees of two depths and a set."""
    writer = TreeWriter(
        features,
        outputs=2,
        flags=ModelFlag.TAKES_MISSING,
        link=Link.SOFTMAX,
        text={"features": [f"column {place}" for place in range(features)]},
    )
    slot = writer.slot(0, SlotFlag.MISSING_LEFT)
    left, right = np.array([1, -1, -1]), np.array([2, -1, -1])
    for tree in range(11):
        numbers = np.array([tree / 10, -1.0, 0.5 + tree])
        writer.add_tree(left, right, np.array([slot, 0, 0]), numbers, tree % 2)
    return writer
