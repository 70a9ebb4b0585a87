#include "blake2b.h"

#include <string.h>

static const uint64_t START[8] = {
    0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
    0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
};

/* Which word of the block each step of a round takes. */
static const uint8_t ORDER[10][16] = {
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
};

static uint64_t turned(uint64_t word, int bits) {
    return word >> bits | word << (64 - bits);
}

static uint64_t little_endian(const uint8_t *bytes) {
    uint64_t word = 0;
    for (int index = 7; index >= 0; index--) word = word << 8 | bytes[index];
    return word;
}

static void mix(uint64_t *v, int a, int b, int c, int d, uint64_t x, uint64_t y) {
    v[a] += v[b] + x;
    v[d] = turned(v[d] ^ v[a], 32);
    v[c] += v[d];
    v[b] = turned(v[b] ^ v[c], 24);
    v[a] += v[b] + y;
    v[d] = turned(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = turned(v[b] ^ v[c], 63);
}

static void compress(struct blake2b *hash, int is_last) {
    uint64_t v[16], words[16];
    for (int index = 0; index < 16; index++) words[index] = little_endian(hash->block + 8 * index);
    memcpy(v, hash->state, sizeof hash->state);
    memcpy(v + 8, START, sizeof START);
    v[12] ^= hash->length;
    if (is_last) v[14] = ~v[14];
    for (int round = 0; round < 12; round++) {
        const uint8_t *at = ORDER[round % 10];
        mix(v, 0, 4, 8, 12, words[at[0]], words[at[1]]);
        mix(v, 1, 5, 9, 13, words[at[2]], words[at[3]]);
        mix(v, 2, 6, 10, 14, words[at[4]], words[at[5]]);
        mix(v, 3, 7, 11, 15, words[at[6]], words[at[7]]);
        mix(v, 0, 5, 10, 15, words[at[8]], words[at[9]]);
        mix(v, 1, 6, 11, 12, words[at[10]], words[at[11]]);
        mix(v, 2, 7, 8, 13, words[at[12]], words[at[13]]);
        mix(v, 3, 4, 9, 14, words[at[14]], words[at[15]]);
    }
    for (int index = 0; index < 8; index++) hash->state[index] ^= v[index] ^ v[index + 8];
}

void gnomon_blake2b_begin(struct blake2b *hash, size_t size, const void *key, size_t key_size) {
    memcpy(hash->state, START, sizeof START);
    hash->state[0] ^= 0x01010000 ^ key_size << 8 ^ size;
    hash->length = 0;
    hash->held = 0;
    hash->size = size;
    if (!key_size) return;
    memset(hash->block, 0, sizeof hash->block);
    memcpy(hash->block, key, key_size);
    hash->held = BLAKE2B_BLOCK;
}

void gnomon_blake2b_add(struct blake2b *hash, const void *data, size_t size) {
    const uint8_t *bytes = data;
    while (size) {
        /* The last block is compressed at the end, even where it is full. */
        if (hash->held == BLAKE2B_BLOCK) {
            hash->length += BLAKE2B_BLOCK;
            compress(hash, 0);
            hash->held = 0;
        }
        size_t room = BLAKE2B_BLOCK - hash->held;
        size_t taken = size < room ? size : room;
        memcpy(hash->block + hash->held, bytes, taken);
        hash->held += taken;
        bytes += taken;
        size -= taken;
    }
}

void gnomon_blake2b_end(struct blake2b *hash, uint8_t *digest) {
    hash->length += hash->held;
    memset(hash->block + hash->held, 0, BLAKE2B_BLOCK - hash->held);
    compress(hash, 1);
    for (size_t index = 0; index < hash->size; index++)
        digest[index] = (uint8_t)(hash->state[index / 8] >> 8 * (index % 8));
}
