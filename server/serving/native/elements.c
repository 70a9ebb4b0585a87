/* The elements of a tensor, one after the other. */
#include "message.h"
#include "protobuf.h"

#include <math.h>

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
