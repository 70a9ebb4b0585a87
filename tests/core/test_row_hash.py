"""Hashes of rows beside hashlib's, and their order beside NumPy's."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.row_hash import hash_rows, hash_texts, sort_rows, write_hashes, write_words


def blake2b(message: bytes) -> bytes:
    return hashlib.blake2b(message, digest_size=32).digest()


@pytest.mark.parametrize("width", [0, 1, 8, 127, 128, 129, 256, 300])
@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 9])
def test_rows_are_hashed_as_hashlib_does(width, rows):
    messages = np.random.default_rng(width + rows).integers(0, 256, (rows, width), dtype=np.uint8)
    expected = [blake2b(message.tobytes()) for message in messages]
    assert [one.tobytes() for one in hash_rows(messages)] == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=12))
def test_texts_of_any_lengths_are_hashed_as_hashlib_does(texts):
    data = np.frombuffer(b"".join(texts), np.uint8)
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    found = [one.tobytes() for one in hash_texts(data, offsets)]
    assert found == [blake2b(text) for text in texts]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=32, max_size=32), max_size=200), st.integers(1, 60))
def test_hashes_are_sorted_by_their_bytes(hashes, repeated):
    several = hashes * repeated
    given_rows = np.frombuffer(b"".join(several), np.uint8).reshape(-1, 32)
    assert [one.tobytes() for one in sort_rows(given_rows)] == sorted(several)


def test_many_hashes_that_agree_in_the_leading_bits():
    hashes = np.random.default_rng(0).integers(0, 256, (5000, 32), dtype=np.uint8)
    hashes[:, 0] = 77
    hashes[:, 1] %= 2
    expected = sorted(one.tobytes() for one in hashes)
    assert [one.tobytes() for one in sort_rows(hashes, skip=8)] == expected
    assert [one.tobytes() for one in sort_rows(hashes)] == expected


def test_what_would_leave_the_buffers_is_refused():
    rows, present = np.zeros((2, 9), np.uint8), np.ones(2, np.uint8)
    with pytest.raises(ValueError, match="9 bytes at 1 do not fit in rows of 9"):
        write_words(rows, 1, np.zeros(2, np.uint64), present, 1, 0)
    with pytest.raises(ValueError, match="2 rows, but 3 values"):
        write_words(rows, 0, np.zeros(3, np.uint64), present, 1, 0)
    wide, hashes = np.zeros((2, 33), np.uint8), np.zeros((1, 32), np.uint8)
    with pytest.raises(ValueError, match="code 1 of row 1 is not one of the 1"):
        write_hashes(wide, 0, hashes, np.array([0, 1]), present, 1, 0)
    with pytest.raises(ValueError, match="text 0 is not within 2 bytes"):
        hash_texts(np.zeros(2, np.uint8), np.array([0, 3]))
    with pytest.raises(ValueError, match="a hash has 32 bytes, not 9"):
        sort_rows(rows)
