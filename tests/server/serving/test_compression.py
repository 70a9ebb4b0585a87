"""Packed messages: what is packed comes back, and what is no such thing is refused."""

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.runtime.errors import InvalidInput
from gnomon.server.serving.compression import pack, unpack


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=5_000), encoding=st.sampled_from(["gzip", "deflate"]))
def test_what_was_packed_comes_back(data: bytes, encoding: str) -> None:
    chosen, packed = pack(f"br, {encoding};q=0.5", data)
    assert unpack(chosen, packed, 5_000) == data
    assert chosen == (encoding if len(data) >= 1_024 else "")
    made = gzip.compress(data) if encoding == "gzip" else zlib.compress(data)
    assert unpack(encoding, made, 5_000) == data
    if data:
        with pytest.raises(InvalidInput, match="larger than"):
            unpack(encoding, made, len(data) - 1)


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=5), tail=st.binary(max_size=3))
def test_all_members_of_gzip_are_read_and_nothing_else_may_follow(
    parts: list[bytes], tail: bytes
) -> None:
    whole = b"".join(parts)
    made = b"".join(gzip.compress(part) for part in parts)
    assert unpack("gzip", made, len(whole)) == whole
    if whole:
        with pytest.raises(InvalidInput, match="larger than"):
            unpack("gzip", made, len(whole) - 1)
    if tail:
        for encoding, data in (("gzip", made), ("deflate", zlib.compress(whole))):
            with pytest.raises(InvalidInput):
                unpack(encoding, data + tail, 5_000)


def test_the_number_of_members_is_bounded() -> None:
    with pytest.raises(InvalidInput, match="bytes follow"):
        unpack("gzip", gzip.compress(b"") * 2_000, 1_000)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), encoding=st.sampled_from(["gzip", "deflate", "zstd", "x"]))
def test_bytes_never_surprise(data: bytes, encoding: str) -> None:
    with contextlib.suppress(InvalidInput):
        unpack(encoding, data, 1_000)


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", ""),
        ("identity", ""),
        ("gzip, deflate, br", "gzip"),
        ("deflate", "deflate"),
        ("GZIP", "gzip"),
        ("gzip;q=0, deflate", "deflate"),
        ("gzip; q=0.000", ""),
        (",;q=,", ""),
    ],
)
def test_a_client_gets_what_it_accepts(accepted: str, chosen: str) -> None:
    assert pack(accepted, bytes(2_000))[0] == chosen
