"""Where the trees of a file split, and rows at these places and beside them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.trees.layout import ENTRY, HEADER, NODE

__all__ = ["hostile_rows", "read_splits"]

#: Beside missing values: zeros of both signs, the smallest numbers, numbers that float32 cannot
#: hold, and infinity.
_SPECIAL = (0.0, -0.0, 5e-324, 1e-40, -1e-36, 1e-35, 1e30, -1e30)
_BEYOND_FLOAT32 = (1e300, -1e300)
_INFINITE = (np.inf, -np.inf)


def read_splits(file: bytes) -> dict[int, NDArray[np.float64]]:
    """Return by feature the numbers at which a file's trees split, each once, of shape (splits,).

    For a feature with categories these are the codes from 0 to two above the largest. The file must
    be one that `TreeModel` opens.
    """
    head = HEADER.unpack_from(file)
    outputs, trees, slots, first_category, shift = *head[3:5], *head[5:8]
    nodes_count, set_words = head[11:13]
    at = HEADER.size + 16 * outputs
    features = np.frombuffer(file, "<u4", 2 * slots, at).reshape(-1, 2)[:, 0]
    at += 8 * slots + ENTRY.itemsize * trees
    nodes = np.frombuffer(file, NODE, nodes_count, at)
    at += -(-NODE.itemsize * nodes_count // 8) * 8
    sets = np.frombuffer(file, "<u4", set_words, at)
    inner = nodes[nodes["word"] >> np.uint32(shift) != 0]
    slot = inner["word"] & np.uint32((1 << shift) - 1)
    found: dict[int, NDArray[np.float64]] = {}
    for feature in np.unique(features[slot]).tolist():
        own = features[slot] == feature
        numbers = np.unique(inner["number"][own & (slot < first_category)])
        places = inner["number"][own & (slot >= first_category)].astype(np.int64)
        top = int(sets[places].max(initial=0))
        codes = np.arange(top + 2 if len(places) else 0, dtype=np.float64)
        found[feature] = np.concatenate([numbers, codes])
    return found


def hostile_rows(
    splits: Mapping[int, NDArray[np.float64]],
    features: int,
    count: int,
    *,
    missing: bool = True,
    infinite: bool = True,
    beyond_float32: bool = True,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Return rows at the splits and beside them, with special values, of shape (count, features).

    Args:
        splits: of `read_splits`.
        features: how many numbers a row has.
        count: how many rows to make.
        missing: whether values may be NaN.
        infinite: whether values may be infinite.
        beyond_float32: whether numbers may be too large for float32.
        seed: of the random numbers.
    """
    random = np.random.default_rng(seed)
    special: list[Any] = [*_SPECIAL, *([np.nan] * 4 if missing else [])]
    special += [*(_INFINITE if infinite else ()), *(_BEYOND_FLOAT32 if beyond_float32 else ())]
    rows = random.standard_normal((count, features))
    for feature, numbers in splits.items():
        finite = numbers[np.isfinite(numbers) & (np.abs(numbers) < np.finfo(np.float32).max)]
        if len(finite):
            rows[:, feature] = _beside(random.choice(finite, count), random)
    mask = random.random(rows.shape) < 0.1
    rows[mask] = random.choice(special, int(mask.sum()))
    return rows


def _beside(numbers: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Return numbers, those before and after them as float64 and float32, and some in between."""
    single = numbers.astype(np.float32)
    up, down = np.float32(np.inf), np.float32(-np.inf)
    with np.errstate(over="ignore"):
        choices = [
            numbers,
            np.nextafter(numbers, np.inf),
            np.nextafter(numbers, -np.inf),
            single.astype(np.float64),
            np.nextafter(single, up).astype(np.float64),
            np.nextafter(single, down).astype(np.float64),
            numbers + random.standard_normal(len(numbers)),
        ]
    return np.choose(random.integers(0, len(choices), len(numbers)), choices)
