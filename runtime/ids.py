"""Client-made identifiers, so that retries are recognised as duplicates."""

import secrets
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

#: What an identifier looks like.
ID_PATTERN = r"^[0-9A-HJKMNP-TV-Z]{26}$"


def now_ms() -> int:
    """Return the time, Unix, in milliseconds."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """Return a new ULID: 26 characters that sort by the time of their making.

    Source: https://github.com/ulid/spec (48 bits of milliseconds, 80 random, Crockford base 32).
    """
    number = now_ms() << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
