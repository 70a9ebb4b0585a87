"""Compressed messages, in both directions; decompression stops at a limit."""

import zlib

from gnomon.runtime.errors import InvalidInput

#: zlib's window bits by the encoding's name on the wire.
_WINDOW_BITS = {"gzip": 31, "deflate": 15}
#: Shorter answers are not compressed, since that costs more than sending them.
_WORTH_BYTES = 1_024
#: Fast rather than small.
_LEVEL = 1


def unpack(encoding: str, data: bytes, limit: int) -> bytes:
    """Return the decompressed data; unchanged if the encoding is "identity" or "".

    Raises:
        InvalidInput: the encoding is unknown, the data is not so encoded, or is longer than
            `limit` bytes when unpacked.
    """
    if encoding in ("", "identity"):
        return data
    if encoding not in _WINDOW_BITS:
        raise InvalidInput(
            f"content encoding {encoding[:40]!r} is not known; right would be one of "
            f"{', '.join(_WINDOW_BITS)}"
        )
    unpacker = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        message = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise InvalidInput(f"the message is not {encoding}: {error}") from error
    if len(message) > limit or not unpacker.eof:
        raise InvalidInput(f"the message is cut short, or larger than {limit} bytes unpacked")
    return message


def pack(accepted: str, data: bytes) -> tuple[str, bytes]:
    """Return an encoding that a client accepts, and the data in it.

    `accepted` is an `Accept-Encoding` header; the encoding is "" if the data is not compressed.
    """
    if len(data) < _WORTH_BYTES or not accepted:
        return "", data
    wanted = _names(accepted)
    for encoding, bits in _WINDOW_BITS.items():
        if encoding in wanted:
            packer = zlib.compressobj(_LEVEL, wbits=bits)
            return encoding, packer.compress(data) + packer.flush()
    return "", data


def _names(accepted: str) -> set[str]:
    """Return the encodings in an `Accept-Encoding` header, except those with q=0."""
    parts = [part.strip().lower().partition(";") for part in accepted.split(",")]
    return {
        name.strip()
        for name, _, quality in parts
        if quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    }
