/* BLAKE2b (RFC 7693) of one message in pieces. */
#ifndef GNOMON_BLAKE2B_STREAM_H
#define GNOMON_BLAKE2B_STREAM_H

#include <stddef.h>
#include <stdint.h>

enum { BLAKE2B_BLOCK = 128 };

struct blake2b {
    uint64_t state[8];
    uint64_t length; /* of what came so far; no message is as long as 2^64 bytes */
    size_t held;     /* bytes of `block` that are not compressed yet */
    size_t size;     /* of the digest */
    uint8_t block[BLAKE2B_BLOCK];
};

/* From one thread at a time for each `hash`, which is the caller's, and may be copied. `size`: 1 to 64
 * bytes of digest; `key_size`: 0 to 64. */
void gnomon_blake2b_begin(struct blake2b *hash, size_t size, const void *key, size_t key_size);
void gnomon_blake2b_add(struct blake2b *hash, const void *data, size_t size);
/* Write `size` bytes; nothing may be added afterwards. */
void gnomon_blake2b_end(struct blake2b *hash, uint8_t *digest);

#endif
