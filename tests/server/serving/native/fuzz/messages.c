/* The decoder and the encoder on messages that are almost right, in buffers without a byte to spare.
 *
 * usage: messages SECONDS SEED FILE…  (files: serialized ModelInferRequests) */
#include "answer.h"
#include "mutation.h"

#include <time.h>

static volatile uint64_t sum;

static void touch(struct slice slice) {
    for (size_t index = 0; index < slice.size; index++) sum += slice.data[index];
}

static void write_number(struct bytes *out, uint64_t value) {
    uint8_t digits[10];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7) digits[size++] = (uint8_t)value | 0x80;
    digits[size++] = (uint8_t)value;
    append(out, digits, size);
}

static int read_number(const uint8_t **at, const uint8_t *end, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return 0;
    }
    return -1;
}

/* Copy a message field by field, with lengths that are right; leave out, double or change some. */
static void mutate_fields(const uint8_t *at, const uint8_t *end, struct bytes *out, int depth) {
    static struct bytes inner[4];
    while (at < end) {
        uint64_t tag, size;
        const uint8_t *field = at;
        if (read_number(&at, end, &tag) || (tag & 7) != 2 || read_number(&at, end, &size) ||
            size > (uint64_t)(end - at)) {
            append(out, field, (size_t)(end - field));
            return;
        }
        uint64_t fate = chance(24);
        struct bytes *body = &inner[depth];
        body->size = 0;
        if (depth < 3 && chance(2)) mutate_fields(at, at + size, body, depth + 1);
        else append(body, at, size);
        if (fate == 0) body->size = chance(body->size + 1);
        if (fate == 1) mutate_blindly(body);
        for (int copies = fate == 2 ? 0 : fate == 3 ? 2 : 1; copies; copies--) {
            write_number(out, fate == 4 ? chance(16) << 3 | 2 : tag);
            write_number(out, fate == 5 ? chance(1ull << (1 + chance(63))) : body->size);
            append(out, body->data, body->size);
        }
        at += size;
    }
}

static void decode(const uint8_t *data, size_t size) {
    static struct request request;
    if (gnomon_request_read(data, size, &request)) return;
    touch(request.model);
    touch(request.version);
    touch(request.id);
    if (request.has_key) touch(request.key);
    for (int index = 0; index < request.outputs; index++) touch(request.output[index]);
    for (int index = 0; index < request.tensors; index++) {
        struct tensor *tensor = &request.tensor[index];
        struct cursor cursor;
        struct element element;
        touch(tensor->name);
        sum += (uint64_t)gnomon_is_utf8(tensor->name.data, tensor->name.size);
        if (gnomon_cursor_start(tensor, &cursor)) continue;
        int64_t count = tensor->rows * tensor->width;
        if (count <= 0 || count > 1 << 24) fail("a shape without sense was accepted");
        for (int64_t turn = 0; turn < count && turn < 4096; turn++) {
            gnomon_cursor_next(&cursor, &element);
            if (element.kind == ELEMENT_BAD) break;
            if (element.kind == ELEMENT_TEXT) {
                touch(element.text);
                sum += (uint64_t)gnomon_is_utf8(element.text.data, element.text.size);
            }
            if (cursor.at > cursor.end) fail("the cursor is behind the end");
        }
    }
}

/* Any numbers an engine may give, of any shape: the answer fits the room that was reserved. */
static void encode(void) {
    static const int kinds[] = {ONNX_FLOAT32, ONNX_FLOAT64, ONNX_INT32, ONNX_INT64, ONNX_INT64};
    static const enum datatype types[] = {TYPE_FP32, TYPE_FP64, TYPE_INT32, TYPE_INT64, TYPE_BYTES};
    static const uint8_t name[] = "\n\1y\022\4FP32";
    struct slice texts[3] = {{name, 0}, {name, 1}, {name, 7}};
    uint64_t numbers[64];
    size_t which = chance(5), rows = 1 + chance(8), width = 1 + chance(8);
    for (size_t index = 0; index < 64; index++)
        numbers[index] = which == 4 ? chance(3) : chance(1ull << (1 + chance(63)));
    struct output output = {.head = {name, 9},
                            .data = numbers,
                            .element_type = kinds[which],
                            .wire_type = types[which],
                            .width = width,
                            .rank = (int)chance(2),
                            .shape = {(int64_t)width},
                            .texts = texts,
                            .text_count = 3,
                            .text_longest = 7};
    struct buffer out = {0};
    size_t room = gnomon_answer_room(&output, 1, rows);
    if (buffer_reserve(&out, room)) fail("no memory");
    gnomon_answer_write(&output, 1, 1, rows, (int)chance(2), &out);
    if (out.size > room) fail("an answer is longer than its room");
    free(out.data);
}

int main(int count, char **arguments) {
    static struct bytes bytes;
    unsigned long turns = 0;
    if (count < 4) return 2;
    chance_state = strtoull(arguments[2], NULL, 10) | 1;
    for (int index = 3; index < count; index++) read_seed(arguments[index]);
    time_t until = time(NULL) + atol(arguments[1]);
    do {
        struct bytes *seed = &seeds[chance((uint64_t)seed_count)];
        bytes.size = 0;
        if (chance(3)) mutate_fields(seed->data, seed->data + seed->size, &bytes, 0);
        else append(&bytes, seed->data, seed->size);
        if (chance(2)) mutate_blindly(&bytes);
        /* Without a byte to spare, so that one read too far is seen. */
        uint8_t *exact = malloc(bytes.size ? bytes.size : 1);
        memcpy(exact, bytes.data, bytes.size);
        decode(exact, bytes.size);
        free(exact);
        encode();
    } while (++turns % 1024 || time(NULL) < until);
    printf("%lu messages\n", turns);
    return 0;
}
