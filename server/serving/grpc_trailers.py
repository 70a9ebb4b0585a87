"""Refusals as HTTP/2's trailers, as the native frontend sends them."""

import base64
import urllib.parse

import grpc

from gnomon.server.serving.methods import Refusal

#: What needs no encoding in a message: printable ASCII but for the sign of encoding.
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def trailers_of(refusal: Refusal) -> list[tuple[bytes, bytes]]:
    """Return a refusal as HTTP/2's trailers."""
    number = grpc.StatusCode[refusal.status].value[0]
    message = urllib.parse.quote(refusal.message, safe=_PLAIN, errors="replace")
    trailers = [(b"grpc-status", b"%d" % number), (b"grpc-message", message.encode())]
    for name, value in refusal.metadata:
        data = base64.b64encode(value).rstrip(b"=") if isinstance(value, bytes) else value.encode()
        trailers.append((name.encode(), data))
    return trailers
