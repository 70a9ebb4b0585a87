"""What a case of the suite is: a call, made from a good request by edits, and what must follow."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["DELETED", "ConformanceCase", "Edits", "Expected", "apply_edits"]

#: The value of an edit that takes a member away.
DELETED = object()

#: Path → value, or a function of the value that is there. Parts of a path are split by dots: names
#: of members, positions in lists, and `+` for a new element at the end.
Edits = Mapping[str, Any]


class Expected(StrEnum):
    """What a call must come to."""

    #: A good status, and a body of the form that the specification gives.
    ANSWERED = "answered"
    #: An error of the protocol. It should be one that blames the caller.
    REFUSED = "refused"
    #: One of the two: the specification leaves it open.
    EITHER = "answered or refused"


@dataclass(frozen=True)
class ConformanceCase:
    """One case.

    `call` is a method of gRPC, or a verb and path of REST, in which `{model}` and `{version}` are
    replaced. The body is `body`, or the good request after `edits`; None of both is no body.
    `check` names a further check of the answer.
    """

    name: str
    clause: str
    call: str
    expected: Expected
    edits: Edits | None = None
    body: bytes | None = None
    check: str = ""
    #: Whether the good request's first input must be a number, as the edits suppose.
    needs_number: bool = False
    headers: Mapping[str, str] | None = None


def apply_edits(good: Mapping[str, Any], edits: Edits) -> dict[str, Any]:
    """Return a changed copy of a good request.

    Raises:
        KeyError: the request has no member of that path.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(good))
    for path, value in edits.items():
        *outer, last = path.split(".")
        place: Any = changed
        for part in outer:
            place = place[int(part)] if isinstance(place, list) else place[part]
        _set(place, last, value)
    return changed


def _set(place: Any, last: str, value: Any) -> None:
    if isinstance(place, list) and last == "+":
        place.append(value(place) if callable(value) else value)
        return
    key: Any = int(last) if isinstance(place, list) else last
    if value is DELETED:
        del place[key]
    elif callable(value):
        place[key] = value(place[key])
    else:
        place[key] = value
