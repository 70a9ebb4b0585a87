"""The alarm of a detector: what changed, how far, since when, by which evidence."""

from dataclasses import dataclass
from enum import StrEnum


class ChangeKind(StrEnum):
    """The kind of change that explains the evidence best."""

    LOCATION = "location"
    SCALE = "scale"
    UNIT = "unit"
    CELL = "cell"
    BELOW = "below"
    ABOVE = "above"
    MISSING = "missing"
    INVALID = "invalid"
    UNSEEN = "unseen"
    CORRELATION = "correlation"
    LOSS = "loss"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm: which field, what changed, how sure, since when and how far.

    Attributes:
        field: the field, `"a × b"` for a pair.
        kind: the change that explains the evidence best.
        evidence: natural logarithm of the evidence, on the scale of the threshold.
        threshold: natural logarithm of the threshold that the evidence has crossed.
        since: windows since the change began by the detector's estimate; 1 is this window.
        distance: how far, in `unit`; signed if a sign has a meaning.
        unit: `"σ"` of normal scores, `"×"` for a ratio of spreads or a factor of units,
            `"share"` for a change of a cell's share of rows.
        description: one sentence for people.
    """

    field: str
    kind: ChangeKind
    evidence: float
    threshold: float
    since: int
    distance: float
    unit: str
    description: str
