"""Design effects from one window per block: how much more days differ than rows would."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gnomon.core.profiling.effect import signs_effect, table_effect
from gnomon.core.reference import FieldReference, Reference
from gnomon.core.window import Window

__all__ = ["ENOUGH_RUNS", "RUNS", "with_effects"]

#: Lengths of runs of blocks, in blocks, and how many runs it takes to measure an effect by.
RUNS, ENOUGH_RUNS = (2, 3, 5), 10

Table = NDArray[np.int64]


Texts = Mapping[str, Mapping[str, int] | None]


def with_effects(
    reference: Reference, layout: Reference, blocks: Sequence[tuple[Window, Texts]]
) -> Reference:
    """Return the reference with the largest effects over blocks and runs of blocks.

    `blocks` are in order of time: a window counted by `layout`, and how often each text occurred.
    """
    cells = [window.read_cells() for window, _ in blocks]
    positions = {one.name: index for index, one in enumerate(layout.fields)}
    pairs = {(one.first, one.second): index for index, one in enumerate(layout.pairs)}

    def field_effect(one: FieldReference) -> float:
        index = positions[one.name]
        if one.kind == "category":
            return _largest(_levels(one, blocks), table_effect)
        table = np.stack([one.fields[index] for one in cells])
        ordered = layout.fields[index].bins + 2
        return _largest(table, lambda part: table_effect(part, ordered=ordered))

    def pair_effect(index: int) -> float:
        return _largest(np.stack([one.pairs[index][:2] for one in cells]), signs_effect)

    return replace(
        reference,
        fields=tuple(replace(one, design_effect=field_effect(one)) for one in reference.fields),
        pairs=tuple(
            replace(one, design_effect=pair_effect(pairs[one.first, one.second]))
            for one in reference.pairs
        ),
        block_rows=reference.rows / max(len(blocks), 1),
    )


def _levels(one: FieldReference, blocks: Sequence[tuple[Window, Texts]]) -> Table:
    """Return how often each category, and none, occurred in each block."""
    rows = []
    for window, texts in blocks:
        found = texts[one.name] or {}
        absent = int(window.cells(one.name)[-2])
        rows.append([*(found.get(level, 0) for level in one.categories), absent])
    return np.array(rows, dtype=np.int64)


def _largest(table: Table, effect: Callable[[Table], float]) -> float:
    found = [effect(table)]
    for length in RUNS:
        if len(table) >= length * ENOUGH_RUNS:
            found.append(effect(np.add.reduceat(table, np.arange(0, len(table), length))))
    return max(found)
