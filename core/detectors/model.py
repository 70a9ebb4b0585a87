"""All fields, pairs and outputs of one model under one budget of false alarms.

Meaning: has anything about this model's data left its reference?

Guarantee: at most one false alarm in `windows_per_false_alarm` windows on average, over all that
is watched. The budget is divided by shares: each detector's threshold is the whole number of
windows divided by its share, and the shares add up to 1 (a weighted mean of e-detectors is one).
Without pairs or outputs their part goes to the inputs' fields.
"""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gnomon.core.detectors.alarm import Alarm
from gnomon.core.detectors.field import FieldDetector
from gnomon.core.detectors.moments import NO_MOMENTS
from gnomon.core.detectors.pair import PairDetector
from gnomon.core.detectors.tilt_detector import StateMismatch
from gnomon.core.reference import Reference
from gnomon.core.window.reading import Moments

FIELDS, PAIRS, OUTPUTS = 0.7, 0.1, 0.2  # shares of the budget
_LENGTH = struct.Struct("<I")


class ModelDetector:
    """Watches the windows of one model.

    Args:
        inputs: reference of the inputs; fields with `monitored=False` are left out.
        outputs: reference of the outputs, if any.
        windows_per_false_alarm: mean number of windows between false alarms.
        tolerance: a change below it does not matter, in σ; see `FieldDetector`.
        use_blocks: whether short windows have smaller design effects, see `FieldDetector`.

    >>> import numpy as np
    >>> from gnomon.core.reference import FieldReference, Reference
    >>> colour = FieldReference(
    ...     "colour", "category", categories=("red", "blue"), counts=(5000, 5000, 0, 0, 0)
    ... )
    >>> model = ModelDetector(Reference((colour,)), windows_per_false_alarm=10_000)
    >>> [alarm.field for alarm in model.update([np.array([350, 150, 0, 0, 0])])]
    ['colour']
    """

    def __init__(
        self,
        inputs: Reference,
        outputs: Reference | None = None,
        *,
        windows_per_false_alarm: float = 10_000,
        tolerance: float = 0.0,
        use_blocks: bool = False,
    ) -> None:
        sides = [(inputs, FIELDS + PAIRS)]
        if outputs is not None and any(one.monitored for one in outputs.fields):
            sides.append((outputs, OUTPUTS))
        total = sum(share for _, share in sides)
        self._sides: list[list[FieldDetector | None]] = []
        self._pairs: list[list[PairDetector]] = []
        for side, share in sides:
            blocks = side.block_rows if use_blocks else 0.0
            fields, pairs = _divide(side, share / total)
            self._sides.append(
                [
                    FieldDetector(
                        one,
                        windows_per_false_alarm=windows_per_false_alarm,
                        share=fields,
                        tolerance=tolerance,
                        block_rows=blocks,
                    )
                    if one.monitored
                    else None
                    for one in side.fields
                ]
            )
            self._pairs.append(
                [
                    PairDetector(
                        one,
                        windows_per_false_alarm=windows_per_false_alarm,
                        share=pairs,
                        tolerance=tolerance,
                        block_rows=blocks,
                    )
                    for one in side.pairs
                ]
            )

    def update(
        self,
        fields: Sequence[NDArray[np.int64]],
        pairs: Sequence[NDArray[np.int64]] = (),
        outputs: Sequence[NDArray[np.int64]] = (),
        output_pairs: Sequence[NDArray[np.int64]] = (),
        *,
        moments: Sequence[Moments] = (),
        output_moments: Sequence[Moments] = (),
    ) -> list[Alarm]:
        """Take one window's cell counts, in the order of the references; return its alarms.

        A side or pairs left empty were not seen in this window and gather no evidence.

        Args:
            fields: for each input, int64 counts of shape (cells,).
            pairs: for each pair of inputs, int64 counts: concordant, discordant, incomplete.
            outputs: for each output, int64 counts of shape (cells,).
            output_pairs: for each pair of outputs, int64 counts as in `pairs`.
            moments: for each input, `Window.moments`, if they are known; an alarm names only a
                cause that agrees with them.
            output_moments: the same for each output.

        Raises:
            ValueError: the number of fields or pairs is not the reference's.
        """
        alarms: list[Alarm] = []
        given = [(fields, pairs, moments), (outputs, output_pairs, output_moments)]
        for side, (cells, couples, known) in enumerate(given[: len(self._sides)]):
            if len(cells):
                alarms += _step(self._sides[side], cells, known)
            if len(couples):
                alarms += _step(self._pairs[side], couples)
        return alarms

    def _watches(self) -> list[FieldDetector | PairDetector]:
        fields = [one for side in self._sides for one in side if one is not None]
        return [*fields, *(one for side in self._pairs for one in side)]

    @property
    def evidence(self) -> dict[str, float]:
        """Log evidence by field and pair as a share of what raises an alarm, at most 1."""
        return {one.name: max(one.evidence, 0.0) / one.threshold for one in self._watches()}

    def state(self) -> bytes:
        """Return the state as bytes, from which `restore` goes on as if nothing had happened."""
        states = [one.state() for one in self._watches()]
        return b"".join(_LENGTH.pack(len(state)) + state for state in states)

    def restore(self, data: bytes) -> None:
        """Go on from `data`; raises `StateMismatch` if it belongs to another detector."""
        at, parts = 0, []
        while at + _LENGTH.size <= len(data):
            (size,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size
            parts.append(data[at : at + size])
            at += size
        watches = self._watches()
        if at != len(data) or len(parts) != len(watches):
            raise StateMismatch(
                f"state of a model: {len(parts)} detectors in {len(data)} bytes, "
                f"expected {len(watches)}"
            )
        for watch, part in zip(watches, parts, strict=True):
            watch.restore(part)


def _divide(side: Reference, share: float) -> tuple[float, float]:
    """Divide a side's share of the budget: what each field and each pair is given."""
    fields = sum(one.monitored for one in side.fields)
    pairs = len(side.pairs)
    paired = share * PAIRS / (FIELDS + PAIRS) if pairs else 0.0
    return (share - paired) / max(fields, 1), paired / max(pairs, 1)


def _step(
    watches: Sequence[FieldDetector | PairDetector | None],
    counts: Sequence[NDArray[np.int64]],
    moments: Sequence[Moments] = (),
) -> list[Alarm]:
    if len(counts) != len(watches):
        raise ValueError(f"counts of {len(counts)}, expected {len(watches)}")
    known = moments or [NO_MOMENTS] * len(watches)
    if len(known) != len(watches):
        raise ValueError(f"moments of {len(known)}, expected {len(watches)}")
    found = [
        watch.update(cells, seen)
        for watch, cells, seen in zip(watches, counts, known, strict=True)
        if watch is not None
    ]
    return [alarm for alarm in found if alarm is not None]
