"""Check that a delivery of a hub's webhook is genuine, in the program that receives it.

>>> body = b'{"id": "01J", "event": "alert.opened"}'
>>> header = sign("secret", body, 1_700_000_000)
>>> verify("secret", header, body, now=1_700_000_010)
True
>>> verify("secret", header, body + b" ", now=1_700_000_010)
False
>>> verify("secret", header, body, now=1_700_009_999)
False
"""

import hashlib
import hmac
import time

#: The header that holds the signature.
SIGNATURE = "gnomon-signature"


def sign(secret: str, body: bytes, at: int) -> str:
    """Return the header's value for a body that is sent at a time, Unix seconds."""
    signed = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


def verify(
    secret: str, header: str, body: bytes, *, tolerance_seconds: int = 300, now: float | None = None
) -> bool:
    """Whether a hub that knows the secret sent this body, not longer ago than the tolerance.

    Args:
        secret: what `gnomon hub webhook add` showed.
        header: the value of `Gnomon-Signature`.
        body: the bytes of the body, not parsed and written again.
        tolerance_seconds: greatest age; remember the ids of deliveries for as long, to detect
            repeats.
        now: Unix seconds; None: the clock.
    """
    at, _, _ = header.removeprefix("t=").partition(",")
    if not at.isascii() or not at.isdecimal() or len(at) > 12:
        return False
    age = abs((time.time() if now is None else now) - int(at))
    return age <= tolerance_seconds and hmac.compare_digest(
        header.encode(), sign(secret, body, int(at)).encode()
    )
