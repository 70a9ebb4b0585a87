"""Do a window's own moments agree with the cause that its cells suggest?

Cells say little about values that are beyond all of the reference: 82 °F and 275 K are both above
every value of a winter in °F. A window also holds the exact mean, variance and extremes. A cause
is named only if these agree with it:

* a change of unit `x → a·x + b`: the mean is within one deviation of `a·m + b` (and its standard
  error), the deviation within a factor of `UNIT_SPREAD` of `|a|·s`, and no value is farther out
  than `UNIT_REACH` deviations beyond the extremes that the reference would have then; if most rows
  are below or above all of the reference, where a shift explains the cells as well, the deviation
  is nearer to `|a|·s` than to `s`;
* a spread of r times: the deviation has not moved the other way by more than chance, and if r is
  large, by at least half of it;
* a shift: the mean has not moved the other way by more than chance.

Moments of a window in which values were too far away to be counted in full (`Moments.clamped`) say
nothing but their extremes. If no moments are known, and most rows are below or above all of the
reference, neither a unit nor a spread is named.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, log, nan, sqrt

from gnomon.core.detectors.alarm import ChangeKind
from gnomon.core.detectors.tilts import Floats
from gnomon.core.reference import FieldReference
from gnomon.core.window.reading import Moments

UNIT_SPREAD = 3.0
UNIT_REACH = 3.0
ERRORS = 3.0  # standard errors that are chance
OUTSIDE_SHARE = 0.5  # of the rows beyond which cells say little
HALF = 0.5  # of a large spread must be seen

#: Of a field without present values.
NO_MOMENTS = Moments(0, nan, nan, nan, nan, False)


def moments_of(reference: FieldReference) -> Moments:
    """Return the moments of the training data; without count if they are not known."""
    known = reference.kind == "numeric" and reference.variance > 0
    if not known or not isfinite(reference.variance):
        return NO_MOMENTS
    return Moments(
        sum(reference.counts[:-2]),
        reference.mean,
        reference.variance,
        reference.minimum,
        reference.maximum,
        False,
    )


def check_window(
    before: Moments, seen: Moments, reference: FieldReference, counts: Floats
) -> "MomentCheck":
    """Return what the moments of a window allow.

    Args:
        before: moments of the reference, or of the peers.
        seen: moments of the window.
        reference: the field's reference.
        counts: the window's counts of all cells, of shape (cells,).
    """
    if reference.kind == "category":
        return MomentCheck(before, seen)
    outside = max(counts[0], counts[reference.bins + 1])
    return MomentCheck(before, seen, bool(outside > OUTSIDE_SHARE * counts[:-2].sum()))


def merge_moments(parts: Iterable[Moments]) -> Moments:
    """Return the moments of all values together.

    Reference: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
    sample variances" (1979).
    """
    found = NO_MOMENTS
    for part in parts:
        found = _merge(found, part)
    return found


def _merge(one: Moments, other: Moments) -> Moments:
    if not one.count or not other.count:
        return one if one.count else other
    count = one.count + other.count
    apart, weight = other.mean - one.mean, other.count / count
    variance = one.variance + weight * (other.variance - one.variance)
    return Moments(
        count,
        one.mean + weight * apart,
        variance + weight * (1.0 - weight) * apart * apart,
        min(one.minimum, other.minimum),
        max(one.maximum, other.maximum),
        one.clamped or other.clamped,
    )


@dataclass(frozen=True, slots=True)
class MomentCheck:
    """The moments before a change and in the window that shows it.

    Attributes:
        before: of the reference, or of the peers.
        seen: of the window.
        is_outside: whether most rows of the window are below or above all of the reference.
    """

    before: Moments
    seen: Moments
    is_outside: bool = False

    @property
    def is_known(self) -> bool:
        """Whether both are known and finite."""
        return all(
            one.count > 1 and isfinite(one.mean) and isfinite(one.variance) and one.variance >= 0
            for one in (self.before, self.seen)
        )

    def allows(self, kind: ChangeKind, distance: float) -> bool:
        """Return whether a shift or a spread of this size may be; true for any other kind."""
        if kind is ChangeKind.LOCATION:
            return self.allows_shift(distance)
        return kind is not ChangeKind.SCALE or self.allows_spread(distance)

    def allows_map(self, factor: float, offset: float) -> bool:
        """Return whether the window may hold `factor·x + offset` of the values before."""
        if not self.is_known:
            return not self.is_outside
        before, seen = self.before, self.seen
        deviation = abs(factor) * sqrt(before.variance)
        ends = [factor * end + offset for end in (before.minimum, before.maximum)]
        reach = UNIT_REACH * deviation
        inside = min(ends) - reach <= seen.minimum and seen.maximum <= max(ends) + reach
        if seen.clamped or not inside:
            return inside
        error = ERRORS * deviation / sqrt(seen.count)
        near = abs(seen.mean - (factor * before.mean + offset)) <= deviation + error
        spread = sqrt(seen.variance)
        if self.is_outside and not _is_nearer(spread, deviation, sqrt(before.variance)):
            return False
        return near and deviation <= UNIT_SPREAD * spread and spread <= UNIT_SPREAD * deviation

    def allows_spread(self, ratio: float) -> bool:
        """Return whether the values may be spread `ratio` times as wide."""
        if not self.is_known or self.seen.clamped or not self.before.variance:
            return not self.is_outside
        seen = 0.5 * log(max(self.seen.variance, 1e-300) / self.before.variance)
        chance = ERRORS / sqrt(2.0 * self.seen.count)
        if ratio >= 1.0:
            return seen >= max(-chance, log(HALF * ratio))
        return seen <= min(chance, log(ratio / HALF))

    def allows_shift(self, shift: float) -> bool:
        """Return whether the values may have moved to the side of `shift`; true if unknown."""
        if not self.is_known:
            return True
        moved = self.seen.mean - self.before.mean
        chance = ERRORS * sqrt(max(self.seen.variance, self.before.variance) / self.seen.count)
        return moved >= -chance if shift >= 0 else moved <= chance


def _is_nearer(spread: float, scaled: float, unchanged: float) -> bool:
    """Return whether a deviation is at least as near, by ratio, to one value as to another."""
    if not (spread > 0 and scaled > 0 and unchanged > 0):
        return False
    return abs(log(spread / scaled)) <= abs(log(spread / unchanged))
