"""Is more missing than is allowed, or is it chance?

Meaning: of n rows, k lack a value; the field's contract allows a share a. The allowance is
exceeded if k/n > a and chance alone, at the allowance, would seldom leave k:

    P(k or more of n) ≤ exp(−n·KL(k/n, a)) ≤ level,   KL(p, a) = p·log(p/a) + (1−p)·log((1−p)/(1−a))

Guarantee: each test is wrong with a probability of at most `level`, whatever n is. Run in
every interval it is wrong at most once in 1/level intervals on average. A few rows show
nothing, unless nothing at all may be missing.

Reference: Chernoff (1952), in Hoeffding's form (1963, theorem 1).

>>> exceeds_allowance(3, 20, 0.05, 1e-3), exceeds_allowance(150, 1_000, 0.05, 1e-3)
(False, True)
"""

from math import log


def exceeds_allowance(missing: int, rows: int, allowance: float, level: float) -> bool:
    """Return whether `missing` of `rows` are more than a share `allowance` explains.

    Args:
        missing: rows that lack a value.
        rows: all rows.
        allowance: the share that may be missing, 0 to 1.
        level: greatest probability of a wrong yes, in (0, 1].

    Raises:
        ValueError: for counts or shares that cannot be.
    """
    if not 0 <= missing <= rows or not 0 <= allowance <= 1 or not 0 < level <= 1:
        raise ValueError(
            f"{missing} of {rows} rows missing, allowance {allowance}, level {level}: expected "
            "0 <= missing <= rows, an allowance of 0 to 1 and a level in (0, 1]"
        )
    if missing <= allowance * rows:
        return False
    if allowance == 0:
        return True
    share = missing / rows
    divergence = share * log(share / allowance)
    if share < 1:
        divergence += (1 - share) * log((1 - share) / (1 - allowance))
    return rows * divergence >= -log(level)
