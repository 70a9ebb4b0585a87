"""Reading of untrusted data: what it may raise, and names that come twice in JSON."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from gnomon.runtime.errors import InvalidInput

#: msgspec hands on as they are its errors of text that is no UTF-8 and of nesting without end.
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

#: What code raises that reads fields of untrusted values, which may be of any type or size.
UNREADABLE = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)


def check_unique_names(data: bytes, members: int, texts: Iterable[object] = ()) -> None:
    """Check that no object in a JSON document has a name twice: decoders keep the last value.

    Every member has a colon. So a document with as many colons as the decoded one has members has
    no name twice, and is not parsed again.

    Args:
        data: a document that a decoder has accepted.
        members: of all objects in the decoded document together; a lower number is allowed, and
            only makes the check slower.
        texts: values of the decoded document; the colons in those that are texts need no second
            parsing either.

    Raises:
        InvalidInput: an object has a name twice.
    """
    colons = data.count(b":")
    if colons == members:
        return
    # Only what is written as it is read can be counted; an escaped colon is none in the data.
    if b"\\" not in data:
        members += sum(text.count(":") for text in texts if isinstance(text, str))
        if colons == members:
            return
    try:
        # Numbers stay text: their values do not matter here, and may be long.
        json.loads(data, object_pairs_hook=_check_object, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the body is not JSON: {error}") from error


def _check_object(pairs: list[tuple[str, Any]]) -> None:
    names = {name for name, _ in pairs}
    if len(names) == len(pairs):
        return
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidInput(
                f"the name {name[:80]!r} comes twice in one object; each may come once",
                details=[{"field": name[:80], "rule": "duplicate_name"}],
            )
        seen.add(name)
