"""Records of a stream: good ones, bad ones, and their bytes."""

import json
from typing import Any

GOOD: dict[str, Any] = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}
BAD = GOOD | {"distance": -1.0}


def lines(*rows: Any) -> bytes:
    """Return JSON lines; bytes are taken as they are."""
    return b"".join(
        (row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows
    )
