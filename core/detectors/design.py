"""The design effect: how many rows count as one, because rows of a block resemble each other.

Flights of one day share the weather; readings of one minute share the machine's state. Let block
b have n_b rows whose scores sum to s_b, and σ² be the variance of a single score. Then

    d = Σ (s_b − n_b·m)² / (σ² · Σ n_b)

is 1 for independent rows and grows with what the rows of a block have in common. Blocks resemble
their neighbours too (weather lasts), so d is also computed with 2, 4, … neighbouring blocks
joined, as long as eight are left, and the largest counts. The score is the normal score of
a numeric field's bins and each cell's indicator for a category (the mean over cells by mass).

References: Kish, "Survey Sampling" (1965), section 8.2; for joined blocks the batch means of
Flegal and Jones, "Batch means and spectral variance estimators" (2010).
"""

import numpy as np
from numpy.typing import ArrayLike

from gnomon.core.detectors.tilts import Floats, normal_scores, posterior_shares

_FEWEST = 8  # joined blocks below which a variance says too little


def design_effect(blocks: ArrayLike, *, kind: str, join: bool = True) -> float:
    """Return the design effect of one field, at least 1.

    Args:
        blocks: blocks × cells, counts in the layout of a `FieldReference`, in the order of time.
        kind: `"numeric"` or `"category"`.
        join: whether to look at neighbouring blocks joined.

    >>> import numpy as np
    >>> together = np.array([[100, 0, 0, 0, 0], [0, 100, 0, 0, 0]] * 10)
    >>> round(design_effect(together, kind="category", join=False))
    105
    >>> design_effect(np.array([[50, 50, 0, 0, 0]] * 20), kind="category")
    1.0
    """
    counts = np.asarray(blocks, dtype=np.float64)
    counts = counts[counts.sum(axis=1) > 0]
    if len(counts) < 2:
        return 1.0
    total = counts.sum(axis=0)
    scores, mass = _scores(total, kind)
    mean = total @ scores / total.sum()
    spread = total @ scores**2 / total.sum() - mean**2
    deviation = counts @ scores - counts.sum(axis=1)[:, None] * mean
    effect, length = 1.0, 1
    while length == 1 or (join and len(counts) // length >= _FEWEST):
        whole = len(deviation) // length * length
        joined = deviation[:whole].reshape(-1, length, scores.shape[1]).sum(axis=1)
        size = counts[:whole].sum()
        ratio = (joined**2).sum(axis=0) / (np.maximum(spread, 1e-12) * size)
        effect = max(effect, float(ratio @ mass) * len(joined) / max(len(joined) - 1, 1))
        length *= 2
    return effect


def _scores(total: Floats, kind: str) -> tuple[Floats, Floats]:
    """Return cells × scores and the weight of each score."""
    if kind == "numeric":
        present = posterior_shares(total, outside=True)[:-2]
        scores = np.zeros((len(total), 1))
        scores[:-2, 0] = normal_scores(present)
        return scores, np.ones(1)
    seen = total > 0
    scores = np.eye(len(total))[:, seen]
    share = total[seen] / total.sum()
    mass = share * (1 - share)
    if mass.sum() == 0:
        return scores, np.zeros(len(mass))
    return scores, mass / mass.sum()
