/* Bytes that grow, and a view of bytes that somebody else owns. From one thread at a time for each
 * buffer, whose memory is its holder's to free. */
#ifndef GNOMON_BUFFER_H
#define GNOMON_BUFFER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct slice {
    const uint8_t *data;
    size_t size;
};

struct buffer {
    uint8_t *data;
    size_t size;
    size_t room;
};

/* Make room for `more` bytes behind what is there; 0, or -1 if there is no memory. */
static inline int buffer_reserve(struct buffer *buffer, size_t more) {
    if (buffer->room - buffer->size >= more) return 0;
    size_t room = buffer->room ? buffer->room : 256;
    while (room - buffer->size < more) room *= 2;
    uint8_t *data = realloc(buffer->data, room);
    if (!data) return -1;
    buffer->data = data;
    buffer->room = room;
    return 0;
}

/* Copy bytes behind what is there; 0, or -1 if there is no memory. */
static inline int buffer_append(struct buffer *buffer, const void *data, size_t size) {
    if (!size) return 0;
    if (buffer_reserve(buffer, size)) return -1;
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return 0;
}

/* Forget the bytes; keep the memory only if it is at most `keep` bytes. */
static inline void buffer_clear(struct buffer *buffer, size_t keep) {
    buffer->size = 0;
    if (buffer->room <= keep) return;
    free(buffer->data);
    buffer->data = NULL;
    buffer->room = 0;
}

#endif
