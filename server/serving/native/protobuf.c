#include "protobuf.h"

int gnomon_is_utf8(const uint8_t *text, size_t size) {
    size_t at = 0;
    while (at < size) {
        if (size - at >= 8) {
            uint64_t word;
            memcpy(&word, text + at, 8);
            if (!(word & 0x8080808080808080u)) {
                at += 8;
                continue;
            }
        }
        uint8_t first = text[at];
        if (first < 0x80) {
            at++;
            continue;
        }
        size_t more = first >= 0xC2 && first <= 0xDF   ? 1
                      : first >= 0xE0 && first <= 0xEF ? 2
                      : first >= 0xF0 && first <= 0xF4 ? 3
                                                       : 0;
        if (!more || size - at <= more) return 0;
        uint8_t second = text[at + 1];
        if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
            (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F))
            return 0;
        for (size_t index = 1; index <= more; index++)
            if ((text[at + index] & 0xC0) != 0x80) return 0;
        at += more + 1;
    }
    return 1;
}

size_t gnomon_varint_size(uint64_t value) {
    size_t size = 1;
    while (value >>= 7) size++;
    return size;
}

void gnomon_write_varint(struct buffer *out, uint64_t value) {
    uint8_t bytes[10];
    size_t size = 0;
    while (value >= 0x80) {
        bytes[size++] = (uint8_t)value | 0x80;
        value >>= 7;
    }
    bytes[size++] = (uint8_t)value;
    buffer_append(out, bytes, size);
}

void gnomon_write_head(struct buffer *out, int field, size_t size) {
    gnomon_write_varint(out, (uint64_t)field << 3 | PROTOBUF_BYTES);
    gnomon_write_varint(out, size);
}

void gnomon_write_bytes(struct buffer *out, int field, const void *data, size_t size) {
    gnomon_write_head(out, field, size);
    buffer_append(out, data, size);
}
