"""BLAKE2b-256 of rows written in fixed width, and their hashes in order; see `row_hash.h`."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

import numpy as np


cdef extern from "row_hash.h" nogil:
    enum:
        HASH_BYTES
        FIRST_BITS
    void hash_fixed(const uint8_t *data, Py_ssize_t width, Py_ssize_t rows, uint8_t *out) noexcept
    void hash_varied(
        const uint8_t *data, const int64_t *offsets, Py_ssize_t count, uint8_t *out
    ) noexcept
    void sort_hashes(
        const uint8_t *start, int64_t count, int skip, int bits, uint8_t *spare,
        int64_t *first, int64_t *second, uint8_t *to
    ) noexcept
    void c_words "write_words"(
        const uint64_t *words, const uint8_t *present, Py_ssize_t rows, uint8_t tag,
        uint8_t absent, uint8_t *out, Py_ssize_t width
    ) noexcept
    void c_reals "write_reals"(
        const double *values, const uint8_t *present, Py_ssize_t rows, uint8_t whole,
        uint8_t fraction, uint8_t absent, uint8_t *out, Py_ssize_t width
    ) noexcept
    void c_hashes "write_hashes"(
        const uint8_t *hashes, const int64_t *codes, const uint8_t *present, Py_ssize_t rows,
        uint8_t tag, uint8_t absent, uint8_t *out, Py_ssize_t width
    ) noexcept


def hash_rows(const uint8_t[:, ::1] rows):
    cdef Py_ssize_t count = rows.shape[0], width = rows.shape[1]
    cdef uint8_t[:, ::1] out = np.empty((count, HASH_BYTES), np.uint8)
    if count:
        with nogil:
            hash_fixed(&rows[0, 0] if width else NULL, width, count, &out[0, 0])
    return np.asarray(out)


def hash_texts(const uint8_t[::1] data, const int64_t[::1] offsets):
    cdef Py_ssize_t index, count = max(offsets.shape[0] - 1, 0)
    cdef uint8_t[:, ::1] out = np.empty((count, HASH_BYTES), np.uint8)
    cdef uint8_t nothing = 0
    for index in range(count):
        if not 0 <= offsets[index] <= offsets[index + 1] <= data.shape[0]:
            raise ValueError(f"text {index} is not within {data.shape[0]} bytes")
    if count:
        with nogil:
            hash_varied(&data[0] if data.shape[0] else &nothing, &offsets[0], count, &out[0, 0])
    return np.asarray(out)


def sort_rows(const uint8_t[:, ::1] hashes, int skip=0):
    cdef Py_ssize_t count = hashes.shape[0]
    cdef int bits = 1
    cdef uint8_t[:, ::1] out = np.empty((count, HASH_BYTES), np.uint8)
    cdef uint8_t[:, ::1] spare = np.empty((count, HASH_BYTES), np.uint8)
    cdef int64_t[::1] first = np.empty((1 << FIRST_BITS) + 1, np.int64)
    cdef int64_t[::1] second
    if hashes.shape[1] != HASH_BYTES:
        raise ValueError(f"a hash has {HASH_BYTES} bytes, not {hashes.shape[1]}")
    if not 0 <= skip <= 32:
        raise ValueError(f"skip is {skip}, expected 0 to 32 bits")
    # About four hashes to a group.
    while (<int64_t>1 << (FIRST_BITS + bits)) * 4 < count and bits < 20:
        bits += 1
    second = np.empty((1 << bits) + 1, np.int64)
    if count:
        with nogil:
            sort_hashes(
                &hashes[0, 0], count, skip, bits, &spare[0, 0], &first[0], &second[0], &out[0, 0]
            )
    return np.asarray(out)


def write_words(
    uint8_t[:, ::1] rows, Py_ssize_t at, const uint64_t[::1] words, const uint8_t[::1] present,
    int tag, int absent,
):
    _check(rows, at, 9, words.shape[0], present.shape[0])
    if rows.shape[0]:
        with nogil:
            c_words(
                &words[0], &present[0], rows.shape[0], tag, absent, &rows[0, at], rows.shape[1]
            )


def write_reals(
    uint8_t[:, ::1] rows, Py_ssize_t at, const double[::1] values, const uint8_t[::1] present,
    int whole, int fraction, int absent,
):
    _check(rows, at, 9, values.shape[0], present.shape[0])
    if rows.shape[0]:
        with nogil:
            c_reals(
                &values[0], &present[0], rows.shape[0], whole, fraction, absent,
                &rows[0, at], rows.shape[1],
            )


def write_hashes(
    uint8_t[:, ::1] rows, Py_ssize_t at, const uint8_t[:, ::1] hashes, const int64_t[::1] codes,
    const uint8_t[::1] present, int tag, int absent,
):
    cdef Py_ssize_t row
    _check(rows, at, 1 + HASH_BYTES, codes.shape[0], present.shape[0])
    if hashes.shape[1] != HASH_BYTES:
        raise ValueError(f"a hash has {HASH_BYTES} bytes, not {hashes.shape[1]}")
    for row in range(rows.shape[0]):
        if present[row] and not 0 <= codes[row] < hashes.shape[0]:
            raise ValueError(f"code {codes[row]} of row {row} is not one of the {hashes.shape[0]}")
    if rows.shape[0]:
        with nogil:
            c_hashes(
                &hashes[0, 0] if hashes.shape[0] else NULL, &codes[0], &present[0], rows.shape[0],
                tag, absent, &rows[0, at], rows.shape[1],
            )


cdef int _check(
    uint8_t[:, ::1] rows, Py_ssize_t at, Py_ssize_t size, Py_ssize_t values, Py_ssize_t present
) except -1:
    if values != rows.shape[0] or present != rows.shape[0]:
        raise ValueError(f"{rows.shape[0]} rows, but {values} values, {present} known to be there")
    if not 0 <= at <= rows.shape[1] - size:
        raise ValueError(f"{size} bytes at {at} do not fit in rows of {rows.shape[1]}")
    return 0
