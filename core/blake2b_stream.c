#include "blake2b_stream.h"

#include "blake2b_rounds.h"

#include <string.h>

static uint64_t little_endian(const uint8_t *bytes) {
    uint64_t word = 0;
    for (int index = 7; index >= 0; index--) word = word << 8 | bytes[index];
    return word;
}

static void compress(struct blake2b *hash, int is_last) {
    uint64_t *h = hash->state, m[16];
    for (int index = 0; index < 16; index++) m[index] = little_endian(hash->block + 8 * index);
    BLAKE2B_COMPRESS(uint64_t, h, m, hash->length, is_last ? ~(uint64_t)0 : 0);
}

void gnomon_blake2b_begin(struct blake2b *hash, size_t size, const void *key, size_t key_size) {
    memcpy(hash->state, blake2b_start, sizeof blake2b_start);
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
