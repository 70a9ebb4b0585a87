"""A model with a calendar: each season, hour or segment has a reference of its own.

Meaning: has the data of this segment left what training saw of this segment? A yearly or daily
cycle then is no drift, and a March that looks like July is.

Guarantee: every window belongs to one segment, and while a segment's detector runs it raises at
most one false alarm in `windows_per_false_alarm` of its windows on average. So the whole raises at
most one in that many windows; nothing is divided.
"""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gnomon.core.detectors.alarm import Alarm
from gnomon.core.detectors.model import ModelDetector
from gnomon.core.detectors.tilt_detector import StateMismatch
from gnomon.core.reference import Reference
from gnomon.core.window.reading import Moments

_LENGTH = struct.Struct("<I")


class SeasonDetector:
    """Watches a model against the reference of the segment that each window belongs to.

    Args:
        references: a reference for each segment, such as `{"winter": …, "summer": …}`.
        windows_per_false_alarm: mean number of windows between false alarms.
        tolerance: a change below it does not matter, in σ; see `FieldDetector`.

    >>> import numpy as np
    >>> from gnomon.core.reference import FieldReference, Reference
    >>> def sky(clear, grey):
    ...     counts = (clear, grey, 0, 0, 0)
    ...     field = FieldReference("sky", "category", categories=("clear", "grey"), counts=counts)
    ...     return Reference((field,))
    >>> season = SeasonDetector({"winter": sky(2000, 8000), "summer": sky(8000, 2000)})
    >>> window = [np.array([400, 100, 0, 0, 0])]
    >>> season.update("summer", window), [alarm.field for alarm in season.update("winter", window)]
    ([], ['sky'])
    """

    def __init__(
        self,
        references: Mapping[str, Reference],
        *,
        windows_per_false_alarm: float = 10_000,
        tolerance: float = 0.0,
    ) -> None:
        if not references:
            raise ValueError("a season detector needs the reference of at least one segment")
        self._models = {
            segment: ModelDetector(
                reference, windows_per_false_alarm=windows_per_false_alarm, tolerance=tolerance
            )
            for segment, reference in references.items()
        }

    def update(
        self,
        segment: str,
        fields: Sequence[NDArray[np.int64]],
        pairs: Sequence[NDArray[np.int64]] = (),
        moments: Sequence[Moments] = (),
    ) -> list[Alarm]:
        """Take one window of `segment`, as `ModelDetector.update` does.

        Args:
            segment: to which the window belongs.
            fields: for each input, int64 counts of shape (cells,).
            pairs: for each pair of inputs, int64 counts.
            moments: for each input, `Window.moments`, if they are known.

        Raises:
            KeyError: for a segment without a reference.
        """
        if segment not in self._models:
            known = ", ".join(sorted(self._models))
            raise KeyError(f"segment {segment!r} has no reference; there are: {known}")
        return self._models[segment].update(fields, pairs, moments=moments)

    def state(self) -> bytes:
        """Return the state as bytes, from which `restore` goes on as if nothing had happened."""
        states = [self._models[segment].state() for segment in sorted(self._models)]
        return b"".join(_LENGTH.pack(len(state)) + state for state in states)

    def restore(self, data: bytes) -> None:
        """Go on from `data`; raises `StateMismatch` if it belongs to another detector."""
        at = 0
        for segment in sorted(self._models):
            if at + _LENGTH.size > len(data):
                raise StateMismatch(f"state of segment {segment!r} is missing")
            (size,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size
            self._models[segment].restore(data[at : at + size])
            at += size
        if at != len(data):
            raise StateMismatch(
                f"state of {len(self._models)} segments: {len(data) - at} bytes more"
            )
