"""How much more natural blocks (days) differ than blocks of independent rows would.

For blocks b = 1…B with n_b rows, and a statistic with block means m_b, mean m and variance s² over
the rows, independent rows give E[Σ n_b (m_b − m)²] = (B − 1) s². The design effect is the ratio

    D = Σ_b n_b (m_b − m)² / ((B − 1) s²), at least 1.

For the cells of a field the sums run over the cells' indicators too, so large cells weigh most:
the average over cells of Rao and Scott. A numeric field can shift or widen as a whole while each
cell changes little, so its D is the largest of that, of the mean of the cells' mid-ranks
(location) and of the squared distance of these from one half (scale).
Reference: Rao and Scott, "The analysis of categorical data from complex sample surveys" (1981).
"""

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.int64]
Table = NDArray[np.float64]


def cells_effect(cells: Cells, blocks: Cells, cell_count: int, *, ordered: int = 0) -> float:
    """Return the design effect of one field.

    Args:
        cells: the cell of each row, int64 of shape (rows,).
        blocks: the block of each row, numbered from 0; int64 of shape (rows,).
        cell_count: number of cells.
        ordered: number of leading cells that are in the order of their values.
    """
    block_count = int(blocks.max()) + 1 if len(blocks) else 0
    if block_count < 2:
        return 1.0
    flat = np.bincount(blocks * cell_count + cells, minlength=block_count * cell_count)
    return table_effect(flat.reshape(block_count, cell_count), ordered=ordered)


def table_effect(counts: Cells, *, ordered: int = 0) -> float:
    """Return the design effect of one field from its counts, blocks × cells."""
    table: Table = counts[counts.sum(axis=1) > 0].astype(np.float64)
    effects = [_spread(table, np.eye(table.shape[1]))]
    if ordered:
        present = table[:, :ordered]
        present = present[present.sum(axis=1) > 0]
        shares = present.sum(axis=0) / max(present.sum(), 1.0)
        ranks = np.cumsum(shares) - shares / 2
        effects += [_spread(present, ranks[:, None]), _spread(present, (ranks[:, None] - 0.5) ** 2)]
    return max(1.0, *effects)


def signs_effect(counts: Cells) -> float:
    """Return the design effect of a pair from its concordant and discordant rows, blocks × 2."""
    table: Table = counts[counts.sum(axis=1) > 0].astype(np.float64)
    return max(1.0, _spread(table, np.array([[1.0], [-1.0]]))) if len(table) else 1.0


def _spread(table: Table, scores: Table) -> float:
    """Return D of scores (cells × statistics) from counts (blocks × cells)."""
    sizes = table.sum(axis=1)
    if len(sizes) < 2:
        return 1.0
    shares = table.sum(axis=0) / sizes.sum()
    mean = shares @ scores
    within = float((shares @ (scores - mean) ** 2).sum())
    between = float((sizes @ ((table @ scores) / sizes[:, None] - mean) ** 2).sum())
    return between / ((len(sizes) - 1) * within) if within > 0 else 1.0


def values_effect(values: NDArray[np.float64], blocks: Cells) -> float:
    """Return the design effect of the mean of the values; rows with NaN do not count.

    Args:
        values: float64 of shape (rows,).
        blocks: number of each row's block, integers of shape (rows,).
    """
    present = ~np.isnan(values)
    values, blocks = values[present], blocks[present]
    if len(values) == 0:
        return 1.0
    sizes = np.bincount(blocks)
    sums = np.bincount(blocks, weights=values)[sizes > 0]
    sizes = sizes[sizes > 0]
    variance = float(values.var())
    if len(sizes) < 2 or variance <= 0:
        return 1.0
    between = float((sizes * (sums / sizes - values.mean()) ** 2).sum())
    return max(1.0, between / ((len(sizes) - 1) * variance))
