/* Protobuf's wire format: the parts that requests and answers of predictions are made of. Pure
 * functions, for any thread. */
#ifndef GNOMON_PROTOBUF_H
#define GNOMON_PROTOBUF_H

#include "buffer.h"

/* Kinds of field. */
enum { PROTOBUF_VARINT = 0, PROTOBUF_FIXED64 = 1, PROTOBUF_BYTES = 2, PROTOBUF_FIXED32 = 5 };

/* A position in a message. */
struct reader {
    const uint8_t *at, *end;
};

/* Read a number: 0, or -1 if the message ends within it or it has more than 64 bits. */
static inline int read_varint(struct reader *reader, uint64_t *value) {
    uint64_t result = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (reader->at == reader->end) return -1;
        uint8_t byte = *reader->at++;
        result |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *value = result;
            /* The tenth byte has one bit. */
            return shift == 63 && byte > 1 ? -1 : 0;
        }
    }
    return -1;
}

/* Read a tag and the bytes of its field; 0, or -1 if it is another kind of field. */
static inline int read_field(struct reader *reader, int *field, struct slice *bytes) {
    uint64_t tag, size;
    if (read_varint(reader, &tag) || (tag & 7) != PROTOBUF_BYTES || tag >> 3 == 0 || tag >> 3 > 15)
        return -1;
    if (read_varint(reader, &size) || size > (uint64_t)(reader->end - reader->at)) return -1;
    *field = (int)(tag >> 3);
    *bytes = (struct slice){reader->at, (size_t)size};
    reader->at += size;
    return 0;
}

/* Whether bytes are UTF-8: 1, or 0. */
int gnomon_is_utf8(const uint8_t *text, size_t size);

/* Append to a buffer, which is the caller's; nothing is appended if there is no memory, so make
 * room first. A varint; the head of a field with `size` bytes to follow; a field with bytes. */
void gnomon_write_varint(struct buffer *out, uint64_t value);
void gnomon_write_head(struct buffer *out, int field, size_t size);
void gnomon_write_bytes(struct buffer *out, int field, const void *data, size_t size);
size_t gnomon_varint_size(uint64_t value);

#endif
