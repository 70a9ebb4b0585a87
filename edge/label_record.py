"""Labels as records of telemetry, checked where they enter: a hub refuses what is out of bounds."""

import math
from datetime import datetime

from gnomon.proto import hub_pb2
from gnomon.runtime.clock import milliseconds, seconds
from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.limits import MAXIMUM_LABEL, STORED_ID_CHARACTERS

__all__ = ["label_record"]


def label_record(
    model: str, request_id: str, value: float, at: datetime | float | None
) -> hub_pb2.Record:
    """Return the record of a label.

    Args:
        model: the public model name.
        request_id: of the prediction.
        value: the true value.
        at: when it became known, in the data's own time: epoch seconds or datetime; None: now.

    Raises:
        InvalidInput: a part is out of bounds.
    """
    for name, text in (("model", model), ("request_id", request_id)):
        if not 0 < len(text) <= STORED_ID_CHARACTERS:
            raise _out_of_bounds(name, text, f"1 to {STORED_ID_CHARACTERS} characters")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= MAXIMUM_LABEL:
        expected = f"a finite number of at most {MAXIMUM_LABEL:g} in magnitude"
        raise _out_of_bounds("value", value, expected)
    label = hub_pb2.Label(
        model=model, request_id=request_id, value=number, at_unix_ms=milliseconds(seconds(at))
    )
    return hub_pb2.Record(label=label)


def _out_of_bounds(name: str, value: object, expected: str) -> InvalidInput:
    shown = repr(value)[:80]
    return InvalidInput(
        f"{name} of a label is {shown}, expected {expected}",
        details=[{"field": name, "rule": "range", "value": shown, "expected": expected}],
    )
