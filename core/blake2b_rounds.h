/* The compression function of BLAKE2b (RFC 7693), for words of 64 bits or vectors of them. */
#ifndef GNOMON_BLAKE2B_ROUNDS_H
#define GNOMON_BLAKE2B_ROUNDS_H

#include <stdint.h>

#define BLOCK_BYTES 128

static const uint64_t blake2b_start[8] = {
    0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
    0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u};

static const uint8_t blake2b_order[12][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3}};

#define ROTATE(x, bits) (((x) >> (bits)) | ((x) << (64 - (bits))))
#define MIX(a, b, c, d, x, y)                                                                      \
    do {                                                                                           \
        a += b + x, d = ROTATE(d ^ a, 32), c += d, b = ROTATE(b ^ c, 24);                          \
        a += b + y, d = ROTATE(d ^ a, 16), c += d, b = ROTATE(b ^ c, 63);                          \
    } while (0)
#define ROUND(s)                                                                                   \
    do {                                                                                           \
        const uint8_t *o = blake2b_order[s];                                                       \
        MIX(v0, v4, v8, v12, m[o[0]], m[o[1]]);                                                    \
        MIX(v1, v5, v9, v13, m[o[2]], m[o[3]]);                                                    \
        MIX(v2, v6, v10, v14, m[o[4]], m[o[5]]);                                                   \
        MIX(v3, v7, v11, v15, m[o[6]], m[o[7]]);                                                   \
        MIX(v0, v5, v10, v15, m[o[8]], m[o[9]]);                                                   \
        MIX(v1, v6, v11, v12, m[o[10]], m[o[11]]);                                                 \
        MIX(v2, v7, v8, v13, m[o[12]], m[o[13]]);                                                  \
        MIX(v3, v4, v9, v14, m[o[14]], m[o[15]]);                                                  \
    } while (0)

/* Compress the block of the 16 words `m` into the 8 words `h`; `count` bytes came so far, this block
 * included; `last` has all bits set for the last block, else none. */
#define BLAKE2B_COMPRESS(word, h, m, count, last)                                                  \
    do {                                                                                           \
        const uint64_t *s = blake2b_start;                                                         \
        const word zero = {0};                                                                     \
        word v0 = h[0], v1 = h[1], v2 = h[2], v3 = h[3], v4 = h[4], v5 = h[5], v6 = h[6];          \
        word v7 = h[7], v8 = zero + s[0], v9 = zero + s[1], v10 = zero + s[2];                     \
        word v11 = zero + s[3], v12 = (count) ^ s[4], v13 = zero + s[5];                           \
        word v14 = zero + (s[6] ^ (last)), v15 = zero + s[7];                                      \
        ROUND(0);                                                                                  \
        ROUND(1);                                                                                  \
        ROUND(2);                                                                                  \
        ROUND(3);                                                                                  \
        ROUND(4);                                                                                  \
        ROUND(5);                                                                                  \
        ROUND(6);                                                                                  \
        ROUND(7);                                                                                  \
        ROUND(8);                                                                                  \
        ROUND(9);                                                                                  \
        ROUND(10);                                                                                 \
        ROUND(11);                                                                                 \
        h[0] ^= v0 ^ v8, h[1] ^= v1 ^ v9, h[2] ^= v2 ^ v10, h[3] ^= v3 ^ v11;                      \
        h[4] ^= v4 ^ v12, h[5] ^= v5 ^ v13, h[6] ^= v6 ^ v14, h[7] ^= v7 ^ v15;                    \
    } while (0)

#endif
