"""Pearson's chi-square test that two tables come from the same shares.

X² = Σ (observed − expected)² / expected over the 2 × C table, expected from its margins; cells
that are empty in both tables are left out. The p-value is the upper tail of the chi-square
distribution with C − 1 degrees of freedom, good if no expected count is much below 5. One
p-value a window is no alarm: looked at again and again, some are small by chance.
Reference: Pearson (1900); the tail by series and continued fraction, Abramowitz and Stegun,
"Handbook of Mathematical Functions" (1964), 6.5.29 and 6.5.31.
"""

from dataclasses import dataclass
from math import exp, isnan, lgamma, log, nan

import numpy as np
from numpy.typing import ArrayLike

from gnomon.core.distances.shares import shares

ACCURACY = 1e-16
MOST_TERMS = 100_000


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """The test's result; NaN if a table is empty."""

    statistic: float
    degrees: int
    p_value: float


def chi_square(expected: ArrayLike, actual: ArrayLike) -> ChiSquare:
    """Test two tables of counts; the reference counts as the finite sample that it is.

    >>> round(chi_square([50, 50], [60, 40]).statistic, 6)
    2.020202
    """
    p, _ = shares(expected, actual)
    table = np.array([np.asarray(expected), np.asarray(actual)], dtype=np.float64)
    table = table[:, table.sum(axis=0) > 0]
    degrees = max(table.shape[1] - 1, 0)
    if (table.sum(axis=1) == 0).any() or isnan(float(p.sum())):
        return ChiSquare(nan, degrees, nan)
    independent = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - independent) ** 2 / independent).sum())
    return ChiSquare(statistic, degrees, upper_tail(statistic, degrees))


def upper_tail(statistic: float, degrees: int) -> float:
    """Return the probability that chi-square exceeds `statistic`.

    >>> round(upper_tail(3.841458820694124, 1), 12)
    0.05
    >>> upper_tail(float("nan"), 1)
    nan
    """
    if isnan(statistic):
        return nan  # min() and max() below would make it a number
    a, x = degrees / 2, statistic / 2
    if degrees == 0 or x <= 0:
        return 1.0
    front = exp(a * log(x) - x - lgamma(a))
    if x < a + 1:
        return max(0.0, 1.0 - front * _series(a, x))
    return min(1.0, front * _fraction(a, x))


def _series(a: float, x: float) -> float:
    term = total = 1.0 / a
    for step in range(1, MOST_TERMS):
        term *= x / (a + step)
        total += term
        if term < total * ACCURACY:
            break
    return total


def _fraction(a: float, x: float) -> float:
    """Evaluate the continued fraction from the front (Lentz's method)."""
    base = x + 1 - a
    upper, lower = 1e300, 1 / base
    value = lower
    for step in range(1, MOST_TERMS):
        factor = -step * (step - a)
        base += 2
        lower = 1 / (factor * lower + base)
        upper = base + factor / upper
        value *= upper * lower
        if abs(upper * lower - 1) < ACCURACY * 10:
            break
    return value
