"""Compressed messages, in both directions; decompression stops at a limit."""

import zlib

from gnomon.runtime.errors import InvalidInput

#: zlib's window bits by the encoding's name on the wire.
_WINDOW_BITS = {"gzip": 31, "deflate": 15}
#: Most members of a gzip message; each takes time, however little it holds.
_MEMBERS = 1_024
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
    try:
        return _unpack_members(encoding, data, limit)
    except zlib.error as error:
        raise InvalidInput(f"the message is not {encoding}: {error}") from error


def _unpack_members(encoding: str, data: bytes, limit: int) -> bytes:
    """Return the data of all members; gzip may have several (RFC 1952, 2.2), deflate has one."""
    parts: list[bytes] = []
    size = 0
    rest = data
    for _ in range(_MEMBERS if encoding == "gzip" else 1):
        unpacker = zlib.decompressobj(_WINDOW_BITS[encoding])
        parts.append(unpacker.decompress(rest, limit - size + 1))
        size += len(parts[-1])
        if size > limit or not unpacker.eof:
            raise InvalidInput(f"the message is cut short, or larger than {limit} bytes unpacked")
        rest = unpacker.unused_data
        if not rest:
            return b"".join(parts)
    raise InvalidInput(f"{len(rest)} bytes follow the {encoding} message")


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
