"""Bounds on means and shares that hold at every look, so that a gate may look at every tick.

An ordinary 95 % interval that is looked at again after every batch errs far more often than 5 %.
These are confidence *sequences*: with probability 1 − alpha they cover the truth at all times at
once.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

_ROUNDING = 1e-6


class Bounds(NamedTuple):
    """An interval that covers the true value at all looks at once, with a given probability."""

    lower: float
    upper: float


def mean_bounds(n: int, total: float, total_squared: float, alpha: float, aimed_at: int) -> Bounds:
    """Bound a mean from its sums: the asymptotic confidence sequence by a normal mixture.

    mean ± s·√( 2(nρ² + 1) / (n²ρ²) · log( √(nρ² + 1) / alpha ) ), where s² is the sample's variance
    and ρ² = (−2 log alpha + log(1 − 2 log alpha)) / aimed_at makes it narrowest near `aimed_at`
    values.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and
    asymptotic confidence sequences", Annals of Statistics 52 (2024). It is asymptotic: callers
    should have a few dozen values before they act on it.

    Args:
        n: How many values there were.
        total: Their sum.
        total_squared: The sum of their squares.
        alpha: Probability that the bounds ever fail, between 0 and 1.
        aimed_at: The number of values at which the bounds should be narrowest.

    Returns:
        The bounds; infinite while there are fewer than two values, or if a sum is not finite.

    >>> low, high = mean_bounds(1_000, 5_000.0, 26_000.0, 0.05, 500)
    >>> round(low, 3), round(high, 3)
    (4.903, 5.097)
    """
    if n < 2:
        return Bounds(-math.inf, math.inf)
    mean = total / n
    variance = _variance(n, total, total_squared)
    if not math.isfinite(variance):
        return Bounds(-math.inf, math.inf)
    squeeze = -2.0 * math.log(alpha)
    time = n * (squeeze + math.log1p(squeeze)) / max(1, aimed_at)
    margin = math.sqrt(
        variance * 2.0 * (time + 1.0) / (n * time) * math.log(math.sqrt(time + 1.0) / alpha)
    )
    return Bounds(mean - margin, mean + margin)


def mean_without_largest(n: int, total: float, total_squared: float) -> float:
    """Return the least mean that values of these sums can have without their largest one.

    No value is further above the mean than √(n − 1) standard deviations, so the mean without it is
    at most s/√(n − 1) smaller, where s² is the variance with divisor n.

    Source: Samuelson, "How deviant can you be?", Journal of the American Statistical Association 63
    (1968).

    >>> round(mean_without_largest(4, 103.0, 10_003.0), 3)  # of 1, 1, 1 and 100
    1.0
    >>> mean_without_largest(1, 100.0, 10_000.0)
    0.0
    """
    if n < 2:
        return 0.0
    mean = total / n
    # Sums are rounded: the mean is made less by more than that can be.
    return mean * (1.0 - _ROUNDING) - math.sqrt(_variance(n, total, total_squared) / n)


def _variance(n: int, total: float, total_squared: float) -> float:
    """Return the sample's variance; NaN if it is not finite, which `max` would make 0."""
    mean = total / n
    variance = (total_squared - n * mean * mean) / (n - 1)
    return max(0.0, variance) if math.isfinite(variance) else math.nan


def share_bounds(hits: int, n: int, alpha: float) -> Bounds:
    """Bound the probability behind `hits` in `n`: Robbins's beta-binomial confidence sequence.

    A share p stays inside as long as the mixture likelihood ratio

        B(1 + hits, 1 + n − hits) / ( p^hits · (1 − p)^(n − hits) )

    is below 1 / alpha; the ratio is a martingale under p, so by Ville's inequality it ever gets
    there with probability at most alpha. No approximation, at any n.

    Source: Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of
    Mathematical Statistics 41 (1970); Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform,
    nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49 (2021).

    >>> low, high = share_bounds(10, 1_000, 0.05)
    >>> low < 0.01 < high
    True
    >>> share_bounds(0, 0, 0.05)
    Bounds(lower=0.0, upper=1.0)
    """
    if n == 0:
        return Bounds(0.0, 1.0)
    misses = n - hits
    mixture = math.lgamma(1 + hits) + math.lgamma(1 + misses) - math.lgamma(2 + n)
    least = mixture + math.log(alpha)

    def inside(share: float) -> bool:
        likelihood = (hits * math.log(share) if hits else 0.0) + (
            misses * math.log1p(-share) if misses else 0.0
        )
        return likelihood > least

    estimate = hits / n
    lower = 0.0 if hits == 0 else _edge(estimate, 0.0, inside)
    upper = 1.0 if misses == 0 else _edge(estimate, 1.0, inside)
    return Bounds(lower, upper)


def _edge(inner: float, outer: float, inside: Callable[[float], bool]) -> float:
    """Bisect for where `inside` ends between `inner` (in) and `outer` (out); errs outwards."""
    for _ in range(60):
        middle = (inner + outer) / 2.0
        if middle in (inner, outer):
            break
        if inside(middle):
            inner = middle
        else:
            outer = middle
    return outer


def quantile_levels(level: float, n: int, alpha: float) -> Bounds:
    """Return the levels of the *observed* quantiles that bound the true quantile of `level`.

    Of n values k fall at or below the true quantile, and k is binomial with probability `level`. So
    while `level` is in `share_bounds(k, n)`, the true quantile is between the k-th and the
    (k + 1)-th smallest value; the smallest and the greatest such k are the bounds. They hold at all
    looks, whatever the distribution. A lower level of 0 or an upper of infinity says: no bound yet.

    >>> quantile_levels(0.5, 4, 0.05)
    Bounds(lower=0.0, upper=inf)
    >>> low, high = quantile_levels(0.5, 10_000, 0.05)
    >>> round(low, 2), round(high, 2)
    (0.48, 0.52)
    """
    middle = min(n, round(level * n))

    def inside(k: int) -> bool:
        mixture = math.lgamma(1 + k) + math.lgamma(1 + n - k) - math.lgamma(2 + n)
        return k * math.log(level) + (n - k) * math.log1p(-level) > mixture + math.log(alpha)

    lower = _last(middle, -1, inside)
    upper = _last(middle, n + 1, inside)
    return Bounds(lower / n if n else 0.0, (upper + 1) / n if upper < n else math.inf)


def _last(inner: int, outer: int, inside: Callable[[int], bool]) -> int:
    """Bisect for the whole number closest to `outer` that is still inside."""
    while abs(outer - inner) > 1:
        middle = (inner + outer) // 2
        if inside(middle):
            inner = middle
        else:
            outer = middle
    return inner
