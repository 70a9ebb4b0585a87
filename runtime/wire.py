"""How an error travels over gRPC: a status, a message, and trailing metadata with code and details.

`gnomon-code` is the error's code (`gnomon.runtime.errors`); `gnomon-details-bin` its details as
JSON, a list of objects, left out if there are none or they are too long for metadata.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from gnomon.runtime import errors
from gnomon.runtime.errors import WIRE, GnomonError

CODE_KEY = "gnomon-code"
DETAILS_KEY = "gnomon-details-bin"

_MESSAGE_CHARACTERS = 1_500
_DETAILS_BYTES = 4_096

#: The class of each code.
ERRORS_BY_CODE: Mapping[str, type[GnomonError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, GnomonError)
}


def status_name(error: GnomonError) -> str:
    """Return the name of the gRPC status that an error becomes."""
    return WIRE.get(error.code, WIRE["internal"])[0]


def message_of(error: GnomonError) -> str:
    """Return the error's message, short enough for a gRPC status."""
    return str(error)[:_MESSAGE_CHARACTERS]


def trailing_metadata(error: GnomonError) -> tuple[tuple[str, str | bytes], ...]:
    """Return what goes with the status: the code, and as many details as fit."""
    metadata: list[tuple[str, str | bytes]] = [(CODE_KEY, error.code)]
    kept: list[bytes] = []
    room = _DETAILS_BYTES
    for detail in error.details:
        encoded = json.dumps(detail, default=str).encode()
        room -= len(encoded) + 1
        if room < 0:
            break
        kept.append(encoded)
    if kept:
        metadata.append((DETAILS_KEY, b"[" + b",".join(kept) + b"]"))
    return tuple(metadata)


def read_error(message: str, metadata: Iterable[tuple[str, str | bytes]]) -> GnomonError | None:
    """Return the error that a refused call carries; None if it carries none that is known."""
    found = dict(metadata)
    kind = ERRORS_BY_CODE.get(str(found.get(CODE_KEY, "")))
    if kind is None:
        return None
    return kind(message, details=_details(found.get(DETAILS_KEY, b"[]")))


def _details(data: str | bytes) -> list[Mapping[str, Any]]:
    try:
        details = json.loads(data)
    except ValueError:
        return []
    return details if isinstance(details, list) else []
