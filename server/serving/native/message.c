#include "message.h"

#include <math.h>
#include <stddef.h>

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

/* A position in a message. */
struct reader {
    const uint8_t *at, *end;
};

static int read_varint(struct reader *reader, uint64_t *value) {
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

/* Read a tag and the bytes of its field; -1 where it is another kind of field. */
static int read_field(struct reader *reader, int *field, struct slice *bytes) {
    uint64_t tag, size;
    if (read_varint(reader, &tag) || (tag & 7) != BYTES || tag >> 3 == 0 || tag >> 3 > 15)
        return -1;
    if (read_varint(reader, &size) || size > (uint64_t)(reader->end - reader->at)) return -1;
    *field = (int)(tag >> 3);
    *bytes = (struct slice){reader->at, (size_t)size};
    reader->at += size;
    return 0;
}

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

static enum datatype read_datatype(struct slice name) {
    static const char *const names[] = {"BOOL", "UINT8", "UINT16", "UINT32", "UINT64",
                                        "INT8", "INT16", "INT32",  "INT64",  "FP16",
                                        "FP32", "FP64",  "BYTES"};
    for (int type = 0; type < TYPE_UNKNOWN; type++)
        if (strlen(names[type]) == name.size && !memcmp(names[type], name.data, name.size))
            return (enum datatype)type;
    return TYPE_UNKNOWN;
}

static int read_shape(struct slice bytes, struct tensor *tensor) {
    struct reader reader = {bytes.data, bytes.data + bytes.size};
    uint64_t size;
    if (tensor->rank) return -1;
    tensor->width = 1;
    while (reader.at < reader.end) {
        if (read_varint(&reader, &size) || size == 0 || size > 1u << 24) return -1;
        if (tensor->rank == 0) tensor->rows = (int64_t)size;
        else tensor->width *= (int64_t)size;
        if (++tensor->rank > 8 || tensor->rows * tensor->width > 1 << 24) return -1;
    }
    return 0;
}

/* One packed list of numbers, or texts only. */
static int read_contents(struct slice bytes, struct tensor *tensor) {
    struct reader reader = {bytes.data, bytes.data + bytes.size};
    struct slice list;
    int field;
    if (tensor->contents_field || read_field(&reader, &field, &list)) return -1;
    tensor->contents_field = field;
    if (field == 8) {
        tensor->contents = bytes;
        return 0;
    }
    tensor->contents = list;
    return reader.at == reader.end ? 0 : -1;
}

static int read_tensor(struct slice bytes, struct tensor *tensor) {
    struct reader reader = {bytes.data, bytes.data + bytes.size};
    struct slice value;
    int field;
    memset(tensor, 0, sizeof *tensor);
    tensor->type = TYPE_UNKNOWN;
    while (reader.at < reader.end) {
        if (read_field(&reader, &field, &value)) return -1;
        if (field == 1) tensor->name = value;
        else if (field == 2) tensor->type = read_datatype(value);
        else if (field == 3 && !read_shape(value, tensor)) continue;
        else if (field == 5 && !read_contents(value, tensor)) continue;
        else if (field > 2) return -1;
    }
    return tensor->type == TYPE_UNKNOWN || !tensor->rank ? -1 : 0;
}

static int read_output(struct slice bytes, struct slice *name) {
    struct reader reader = {bytes.data, bytes.data + bytes.size};
    int field;
    return read_field(&reader, &field, name) || field != 1 || reader.at != reader.end ? -1 : 0;
}

static int is_named(struct slice name, const char *text) {
    return name.size == strlen(text) && !memcmp(name.data, text, name.size);
}

/* The parameter `key` with a text, and the one that Triton's C++ clients put into every request,
 * with a truth value, though it means something in streams only; any other is left to protobuf's
 * decoder. */
static int read_parameter(struct slice bytes, struct request *request) {
    struct reader reader = {bytes.data, bytes.data + bytes.size};
    struct slice name, choice;
    int field;
    if (read_field(&reader, &field, &name) || field != 1) return -1;
    if (read_field(&reader, &field, &choice) || field != 2 || reader.at != reader.end) return -1;
    if (is_named(name, "triton_enable_empty_final_response")) {
        const uint8_t *truth = choice.data;
        return choice.size == 2 && truth[0] == (1 << 3 | VARINT) && truth[1] <= 1 ? 0 : -1;
    }
    if (!is_named(name, "key")) return -1;
    reader = (struct reader){choice.data, choice.data + choice.size};
    if (read_field(&reader, &field, &request->key) || field != 3) return -1;
    request->has_key = 1;
    return reader.at == reader.end && gnomon_is_utf8(request->key.data, request->key.size) ? 0 : -1;
}

int gnomon_request_read(const uint8_t *data, size_t size, struct request *request) {
    struct reader reader = {data, data + size};
    struct slice value;
    int field;
    memset(request, 0, offsetof(struct request, tensor));
    while (reader.at < reader.end) {
        if (read_field(&reader, &field, &value)) return -1;
        switch (field) {
        case 1: request->model = value; break;
        case 2: request->version = value; break;
        case 3: request->id = value; break;
        case 4:
            if (read_parameter(value, request)) return -1;
            break;
        case 5:
            if (request->tensors == TENSORS_LIMIT ||
                read_tensor(value, &request->tensor[request->tensors]))
                return -1;
            request->tensors++;
            break;
        case 6:
            if (request->outputs == OUTPUTS_LIMIT ||
                read_output(value, &request->output[request->outputs]))
                return -1;
            request->outputs++;
            break;
        case 7:
            /* Raw contents come behind the tensors that they belong to. */
            if (request->raw == request->tensors || request->tensor[request->raw].contents_field)
                return -1;
            request->tensor[request->raw].contents = value;
            request->tensor[request->raw++].is_raw = 1;
            break;
        default: return -1;
        }
    }
    return request->raw && request->raw != request->tensors ? -1 : 0;
}

/* By datatype: bytes of an element, and the field of the typed contents. */
static const uint8_t SIZES[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, 0};
static const uint8_t FIELDS[] = {1, 4, 4, 4, 5, 2, 2, 2, 3, 0, 6, 7, 8};

int gnomon_cursor_start(const struct tensor *tensor, struct cursor *cursor) {
    size_t count = (size_t)(tensor->rows * tensor->width);
    size_t size = SIZES[tensor->type];
    cursor->type = tensor->type;
    cursor->is_raw = tensor->is_raw;
    cursor->at = tensor->contents.data;
    cursor->end = cursor->at + tensor->contents.size;
    if (tensor->is_raw) return size && tensor->contents.size != count * size ? -1 : 0;
    if (!tensor->contents_field || tensor->contents_field != FIELDS[tensor->type]) return -1;
    if (tensor->type == TYPE_FP32 || tensor->type == TYPE_FP64)
        return tensor->contents.size != count * size ? -1 : 0;
    return 0;
}

static double half_to_double(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double sign = half >> 15 ? -1.0 : 1.0;
    if (exponent == 31) return fraction ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(fraction, -24);
    return sign * ldexp(1024 + fraction, exponent - 25);
}

static void next_raw(struct cursor *cursor, struct element *element) {
    const uint8_t *at = cursor->at;
    float single;
    uint32_t length;
#define TAKE(type, variable)                                                                       \
    type variable;                                                                                 \
    memcpy(&variable, at, sizeof variable)
    switch (cursor->type) {
    case TYPE_BOOL:
        element->kind = *at <= 1 ? ELEMENT_BOOL : ELEMENT_BAD;
        element->whole = *at;
        break;
    case TYPE_UINT8: element->whole = *at; break;
    case TYPE_INT8: element->whole = (int8_t)*at; break;
    case TYPE_UINT16: {
        TAKE(uint16_t, value);
        element->whole = value;
        break;
    }
    case TYPE_INT16: {
        TAKE(int16_t, value);
        element->whole = value;
        break;
    }
    case TYPE_UINT32: {
        TAKE(uint32_t, value);
        element->whole = value;
        break;
    }
    case TYPE_INT32: {
        TAKE(int32_t, value);
        element->whole = value;
        break;
    }
    case TYPE_INT64: memcpy(&element->whole, at, 8); break;
    case TYPE_UINT64:
        element->kind = ELEMENT_UNSIGNED;
        memcpy(&element->natural, at, 8);
        break;
    case TYPE_FP16: {
        TAKE(uint16_t, value);
        element->kind = ELEMENT_DOUBLE;
        element->number = half_to_double(value);
        break;
    }
    case TYPE_FP32:
        memcpy(&single, at, 4);
        element->kind = ELEMENT_DOUBLE;
        element->number = (double)single;
        break;
    case TYPE_FP64:
        element->kind = ELEMENT_DOUBLE;
        memcpy(&element->number, at, 8);
        break;
    default:
        if (cursor->end - at < 4) {
            element->kind = ELEMENT_BAD;
            return;
        }
        memcpy(&length, at, 4);
        element->kind = length <= (size_t)(cursor->end - at - 4) ? ELEMENT_TEXT : ELEMENT_BAD;
        if (element->kind == ELEMENT_BAD) return;
        element->text = (struct slice){at + 4, length};
        cursor->at += 4 + (size_t)length;
        return;
    }
    cursor->at += SIZES[cursor->type];
}

static const int64_t LOWEST[] = {0, 0, 0, 0, 0, INT8_MIN, INT16_MIN, INT32_MIN, INT64_MIN};
static const int64_t HIGHEST[] = {1,        UINT8_MAX, UINT16_MAX, UINT32_MAX, 0,
                                  INT8_MAX, INT16_MAX, INT32_MAX,  INT64_MAX};

static void next_varint(struct cursor *cursor, struct element *element) {
    struct reader reader = {cursor->at, cursor->end};
    uint64_t value;
    if (read_varint(&reader, &value)) {
        element->kind = ELEMENT_BAD;
        return;
    }
    cursor->at = reader.at;
    element->natural = value;
    element->whole = (int64_t)value;
    if (cursor->type == TYPE_UINT64) {
        element->kind = ELEMENT_UNSIGNED;
    } else if (element->whole < LOWEST[cursor->type] || element->whole > HIGHEST[cursor->type]) {
        element->kind = ELEMENT_BAD;
    } else if (cursor->type == TYPE_BOOL) {
        element->kind = ELEMENT_BOOL;
    }
}

static void next_text(struct cursor *cursor, struct element *element) {
    struct reader reader = {cursor->at, cursor->end};
    int field;
    int is_bad = read_field(&reader, &field, &element->text) || field != 8;
    element->kind = is_bad ? ELEMENT_BAD : ELEMENT_TEXT;
    cursor->at = reader.at;
}

void gnomon_cursor_next(struct cursor *cursor, struct element *element) {
    element->kind = ELEMENT_SIGNED;
    if (cursor->is_raw || cursor->type == TYPE_FP32 || cursor->type == TYPE_FP64)
        next_raw(cursor, element);
    else if (cursor->type == TYPE_BYTES) next_text(cursor, element);
    else next_varint(cursor, element);
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
    gnomon_write_varint(out, (uint64_t)field << 3 | BYTES);
    gnomon_write_varint(out, size);
}

void gnomon_write_bytes(struct buffer *out, int field, const void *data, size_t size) {
    gnomon_write_head(out, field, size);
    buffer_append(out, data, size);
}
