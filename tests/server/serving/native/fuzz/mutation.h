/* Bytes changed at random, blindly and along the structure of what they are. */
#ifndef GNOMON_FUZZ_MUTATION_H
#define GNOMON_FUZZ_MUTATION_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_LIMIT = 1 << 17, SEEDS_LIMIT = 64 };

struct bytes {
    uint8_t data[BYTES_LIMIT];
    size_t size;
};

static struct bytes seeds[SEEDS_LIMIT];
static int seed_count;
static uint64_t chance_state;

/* xorshift64*: quick, and the same on every machine. */
static uint64_t chance(uint64_t below) {
    chance_state ^= chance_state >> 12;
    chance_state ^= chance_state << 25;
    chance_state ^= chance_state >> 27;
    return below ? (chance_state * 0x2545F4914F6CDD1Dull >> 16) % below : 0;
}

static void fail(const char *what) {
    fprintf(stderr, "FUZZ: %s\n", what);
    abort();
}

static void append(struct bytes *out, const uint8_t *data, size_t size) {
    if (size > BYTES_LIMIT - out->size) size = BYTES_LIMIT - out->size;
    memcpy(out->data + out->size, data, size);
    out->size += size;
}

static void read_seed(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || seed_count == SEEDS_LIMIT) fail(path);
    struct bytes *seed = &seeds[seed_count++];
    seed->size = fread(seed->data, 1, BYTES_LIMIT, file);
    fclose(file);
}

/* A few places changed, taken out, doubled, or cut off. */
__attribute__((unused)) static void mutate_blindly(struct bytes *bytes) {
    static const uint8_t hard[] = {0, 1, 0x7F, 0x80, 0xFF};
    static struct bytes made;
    for (uint64_t turn = 1 + chance(3); turn; turn--) {
        size_t at = chance(bytes->size + 1), span = 1 + chance(8);
        if (span > bytes->size - at) span = bytes->size - at;
        switch (chance(5)) {
        case 0:
            if (at < bytes->size) bytes->data[at] ^= 1 << chance(8);
            break;
        case 1:
            if (at < bytes->size) bytes->data[at] = hard[chance(sizeof hard)];
            break;
        case 2: bytes->size = chance(4) ? bytes->size : at; break;
        default:
            made.size = 0;
            append(&made, bytes->data, at);
            if (chance(2)) append(&made, bytes->data + at, span);
            if (chance(2)) append(&made, bytes->data + at, span);
            append(&made, bytes->data + at + span, bytes->size - at - span);
            memcpy(bytes->data, made.data, made.size);
            bytes->size = made.size;
        }
    }
}

#endif
