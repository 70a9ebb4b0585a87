/* BLAKE2b-256 of many messages of one length, four at a time, and the sorting of the hashes.
   Reference: RFC 7693, "The BLAKE2 Cryptographic Hash and Message Authentication Code" (2015). */
#ifndef GNOMON_ROW_HASH_H
#define GNOMON_ROW_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "blake2b_rounds.h"

#define HASH_BYTES 32
#define LANES 4

/* Wheels are built for the oldest x86-64; if the loader can choose, it takes AVX2. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define ROW_HASH_VERSIONS __attribute__((target_clones("avx2", "default")))
#else
#define ROW_HASH_VERSIONS
#endif
#define INLINE static inline __attribute__((always_inline))

typedef uint64_t quad __attribute__((vector_size(8 * LANES)));

INLINE void load_lanes(const uint8_t *const lane[LANES], ptrdiff_t at, quad *loaded) {
    uint64_t words[LANES];
    for (int l = 0; l < LANES; l++) memcpy(&words[l], lane[l] + at, 8);
    memcpy(loaded, words, sizeof words);
}

/* One block of four messages; `count` bytes so far of each, this block included. */
INLINE void compress(quad h[8], const uint8_t *const lane[LANES], const quad *count,
                     uint64_t last) {
    quad m[16];
    for (int j = 0; j < 16; j++) load_lanes(lane, 8 * j, &m[j]);
    BLAKE2B_COMPRESS(quad, h, m, *count, last);
}

INLINE int64_t blocks_of(int64_t length) {
    return length ? (length - 1) / BLOCK_BYTES : 0;
}

/* Four messages of equally many blocks; `out` has room for four hashes. */
INLINE void hash_four(const uint8_t *const message[LANES], const int64_t length[LANES],
                      uint8_t *out) {
    quad h[8] = {{0}}, count = {0};
    for (int j = 0; j < 8; j++) h[j] += blake2b_start[j];
    h[0] ^= (quad){0} + (uint64_t)(0x01010000u ^ HASH_BYTES);
    const uint8_t *lane[LANES];
    int64_t at = 0;
    for (int64_t block = blocks_of(length[0]); block > 0; block--, at += BLOCK_BYTES) {
        for (int l = 0; l < LANES; l++) lane[l] = message[l] + at;
        count += BLOCK_BYTES;
        compress(h, lane, &count, 0);
    }
    uint8_t rest[LANES][BLOCK_BYTES] = {{0}};
    for (int l = 0; l < LANES; l++) {
        memcpy(rest[l], message[l] + at, (size_t)(length[l] - at));
        lane[l] = rest[l];
        count[l] = (uint64_t)length[l];
    }
    compress(h, lane, &count, ~(uint64_t)0);
    for (int l = 0; l < LANES; l++)
        for (int j = 0; j < HASH_BYTES / 8; j++) {
            uint64_t word = h[j][l];
            memcpy(out + l * HASH_BYTES + 8 * j, &word, 8);
        }
}

/* `rows` messages of `width` bytes, one after the other. */
ROW_HASH_VERSIONS static void hash_fixed(const uint8_t *data, ptrdiff_t width, ptrdiff_t rows,
                                         uint8_t *out) {
    const uint8_t *message[LANES];
    const int64_t length[LANES] = {width, width, width, width};
    uint8_t last[LANES * HASH_BYTES];
    for (ptrdiff_t row = 0; row < rows; row += LANES) {
        ptrdiff_t here = rows - row < LANES ? rows - row : LANES;
        for (ptrdiff_t l = 0; l < LANES; l++)
            message[l] = data + (row + (l < here ? l : 0)) * width;
        hash_four(message, length, here == LANES ? out + row * HASH_BYTES : last);
        if (here < LANES) memcpy(out + row * HASH_BYTES, last, (size_t)(here * HASH_BYTES));
    }
}

/* `count` messages of any lengths: message i is data[offsets[i] … offsets[i + 1]]. */
ROW_HASH_VERSIONS static void hash_varied(const uint8_t *data, const int64_t *offsets,
                                          ptrdiff_t count, uint8_t *out) {
    const uint8_t *message[LANES];
    int64_t length[LANES];
    uint8_t four[LANES * HASH_BYTES];
    for (ptrdiff_t i = 0; i < count;) {
        ptrdiff_t like = 0;
        for (ptrdiff_t l = 0; l < LANES; l++) {
            int is_like =
                like == l && i + l < count &&
                (!l || blocks_of(offsets[i + l + 1] - offsets[i + l]) == blocks_of(length[0]));
            ptrdiff_t taken = is_like ? i + l : i;
            like += is_like;
            message[l] = data + offsets[taken];
            length[l] = offsets[taken + 1] - offsets[taken];
        }
        hash_four(message, length, four);
        memcpy(out + i * HASH_BYTES, four, (size_t)(like * HASH_BYTES));
        i += like;
    }
}

static int compare_hashes(const void *one, const void *other) {
    return memcmp(one, other, HASH_BYTES);
}

INLINE uint64_t prefix_of(const uint8_t *hash) {
    uint64_t prefix = 0;
    for (int j = 0; j < 8; j++) prefix = prefix << 8 | hash[j];
    return prefix;
}

/* Few hashes in place; equal ones cost nothing, and many are left to the library. */
static void sort_few(uint8_t *hashes, int64_t count) {
    if (count > 48) {
        qsort(hashes, (size_t)count, HASH_BYTES, compare_hashes);
        return;
    }
    for (int64_t i = 1; i < count; i++) {
        uint8_t held[HASH_BYTES];
        int64_t j = i;
        memcpy(held, hashes + i * HASH_BYTES, HASH_BYTES);
        while (j > 0 && memcmp(hashes + (j - 1) * HASH_BYTES, held, HASH_BYTES) > 0) {
            memcpy(hashes + j * HASH_BYTES, hashes + (j - 1) * HASH_BYTES, HASH_BYTES);
            j--;
        }
        memcpy(hashes + j * HASH_BYTES, held, HASH_BYTES);
    }
}

/* Lay hashes out by the `bits` that follow the leading `skip`. `ends` has 2^bits + 1 zeros, and
   holds afterwards the end of each group. */
static void group_hashes(const uint8_t *from, int64_t count, int skip, int bits, int64_t *ends,
                         uint8_t *to) {
    const int shift = 64 - bits;
    for (int64_t i = 0; i < count; i++)
        ends[(prefix_of(from + i * HASH_BYTES) << skip >> shift) + 1]++;
    for (int64_t group = 0; group < (int64_t)1 << bits; group++) ends[group + 1] += ends[group];
    /* ends[g] starts as the first place of group g and moves to the place after its last. */
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *hash = from + i * HASH_BYTES;
        memcpy(to + ends[prefix_of(hash) << skip >> shift]++ * HASH_BYTES, hash, HASH_BYTES);
    }
}

#define FIRST_BITS 8

/* Sort `count` hashes from `from` into `to`; all agree in `skip` leading bits. Hashes are as good
   as random, so groups of equal bits are small and even; two steps keep them near to one another.
   `spare` has room for all, `first` for 2^8 + 1 and `second` for 2^bits + 1 numbers. */
static void sort_hashes(const uint8_t *from, int64_t count, int skip, int bits, uint8_t *spare,
                        int64_t *first, int64_t *second, uint8_t *to) {
    memset(first, 0, sizeof *first * ((1 << FIRST_BITS) + 1));
    group_hashes(from, count, skip, FIRST_BITS, first, spare);
    for (int64_t group = 0, start = 0; group < 1 << FIRST_BITS; group++) {
        uint8_t *here = to + start * HASH_BYTES;
        memset(second, 0, sizeof *second * (((size_t)1 << bits) + 1));
        group_hashes(spare + start * HASH_BYTES, first[group] - start, skip + FIRST_BITS, bits,
                     second, here);
        for (int64_t part = 0, at = 0; part < (int64_t)1 << bits; at = second[part++])
            sort_few(here + at * HASH_BYTES, second[part] - at);
        start = first[group];
    }
}

/* Cells of a row's canonical form: a tag byte, then eight bytes or a hash. Absent cells are zeros
   behind their own tag. `out` is the cell of the first row. */
static void write_words(const uint64_t *words, const uint8_t *present, ptrdiff_t rows, uint8_t tag,
                        uint8_t absent, uint8_t *out, ptrdiff_t width) {
    for (ptrdiff_t row = 0; row < rows; row++, out += width) {
        uint64_t word = present[row] ? words[row] : 0;
        out[0] = present[row] ? tag : absent;
        memcpy(out + 1, &word, 8);
    }
}

/* Whole numbers are written as integers are, so that the same data of another type is the same. */
static void write_reals(const double *values, const uint8_t *present, ptrdiff_t rows, uint8_t whole,
                        uint8_t fraction, uint8_t absent, uint8_t *out, ptrdiff_t width) {
    for (ptrdiff_t row = 0; row < rows; row++, out += width) {
        double value = values[row];
        int64_t word = 0;
        if (!present[row] || value != value) {
            out[0] = absent;
        } else if (value > -0x1p63 && value < 0x1p63 && value == (double)(int64_t)value) {
            out[0] = whole;
            word = (int64_t)value;
        } else {
            out[0] = fraction;
            memcpy(&word, &value, 8);
        }
        memcpy(out + 1, &word, 8);
    }
}

static void write_hashes(const uint8_t *hashes, const int64_t *codes, const uint8_t *present,
                         ptrdiff_t rows, uint8_t tag, uint8_t absent, uint8_t *out,
                         ptrdiff_t width) {
    static const uint8_t nothing[HASH_BYTES];
    for (ptrdiff_t row = 0; row < rows; row++, out += width) {
        out[0] = present[row] ? tag : absent;
        memcpy(out + 1, present[row] ? hashes + codes[row] * HASH_BYTES : nothing, HASH_BYTES);
    }
}

#endif
