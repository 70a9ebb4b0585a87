#include "answer.h"

#include "protobuf.h"

size_t gnomon_answer_room(const struct output *outputs, int count, size_t rows) {
    size_t room = 0;
    for (int index = 0; index < count; index++)
        room += 256 + outputs[index].head.size +
                rows * outputs[index].width * (16 + outputs[index].text_longest);
    return room;
}

static int64_t whole_at(const struct output *output, size_t index) {
    if (output->element_type == ONNX_INT64) return ((const int64_t *)output->data)[index];
    return ((const int32_t *)output->data)[index];
}

static double number_at(const struct output *output, size_t index) {
    if (output->element_type == ONNX_FLOAT64) return ((const double *)output->data)[index];
    return (double)((const float *)output->data)[index];
}

static struct slice text_at(const struct output *output, size_t index) {
    return output->texts[whole_at(output, index)];
}

static size_t element_bytes(const struct output *output) {
    return output->wire_type == TYPE_FP32 || output->wire_type == TYPE_INT32 ? 4 : 8;
}

/* Elements of a fixed width, one behind the other. */
static void write_fixed(const struct output *output, size_t count, struct buffer *out) {
    for (size_t index = 0; index < count; index++) {
        if (output->wire_type == TYPE_FP32) {
            float value = (float)number_at(output, index);
            buffer_append(out, &value, 4);
        } else if (output->wire_type == TYPE_FP64) {
            double value = number_at(output, index);
            buffer_append(out, &value, 8);
        } else if (output->wire_type == TYPE_INT32) {
            int32_t value = (int32_t)whole_at(output, index);
            buffer_append(out, &value, 4);
        } else {
            int64_t value = whole_at(output, index);
            buffer_append(out, &value, 8);
        }
    }
}

static size_t text_bytes(const struct output *output, size_t count, int raw) {
    size_t size = 0;
    for (size_t index = 0; index < count; index++) {
        size_t length = text_at(output, index).size;
        size += length + (raw ? 4 : 1 + gnomon_varint_size(length));
    }
    return size;
}

static void write_raw(const struct output *output, size_t count, struct buffer *out) {
    if (output->wire_type != TYPE_BYTES) {
        gnomon_write_head(out, 6, count * element_bytes(output));
        write_fixed(output, count, out);
        return;
    }
    gnomon_write_head(out, 6, text_bytes(output, count, 1));
    for (size_t index = 0; index < count; index++) {
        struct slice text = text_at(output, index);
        uint32_t length = (uint32_t)text.size;
        buffer_append(out, &length, 4);
        buffer_append(out, text.data, text.size);
    }
}

/* The numbers of the typed contents and their size. */
static size_t typed_bytes(const struct output *output, size_t count) {
    size_t size = 0;
    if (output->wire_type == TYPE_BYTES) return text_bytes(output, count, 0);
    if (output->wire_type == TYPE_FP32 || output->wire_type == TYPE_FP64)
        return count * element_bytes(output);
    for (size_t index = 0; index < count; index++)
        size += gnomon_varint_size((uint64_t)whole_at(output, index));
    return size;
}

static void write_typed(const struct output *output, size_t count, size_t size,
                        struct buffer *out) {
    static const uint8_t fields[] = {
        [TYPE_INT32] = 2, [TYPE_INT64] = 3, [TYPE_FP32] = 6, [TYPE_FP64] = 7};
    if (output->wire_type == TYPE_BYTES) {
        gnomon_write_head(out, 5, size);
        for (size_t index = 0; index < count; index++) {
            struct slice text = text_at(output, index);
            gnomon_write_bytes(out, 8, text.data, text.size);
        }
        return;
    }
    gnomon_write_head(out, 5, 1 + gnomon_varint_size(size) + size);
    gnomon_write_head(out, fields[output->wire_type], size);
    if (output->wire_type == TYPE_FP32 || output->wire_type == TYPE_FP64) {
        write_fixed(output, count, out);
        return;
    }
    for (size_t index = 0; index < count; index++)
        gnomon_write_varint(out, (uint64_t)whole_at(output, index));
}

static size_t shape_bytes(const struct output *output, size_t rows) {
    size_t size = gnomon_varint_size(rows);
    for (int axis = 0; axis < output->rank; axis++)
        size += gnomon_varint_size((uint64_t)output->shape[axis]);
    return size;
}

static void write_tensor(const struct output *output, size_t rows, int raw, struct buffer *out) {
    size_t count = rows * output->width;
    size_t shape = shape_bytes(output, rows);
    size_t list = raw ? 0 : typed_bytes(output, count);
    size_t contents = output->wire_type == TYPE_BYTES ? list : 1 + gnomon_varint_size(list) + list;
    size_t size = output->head.size + 1 + gnomon_varint_size(shape) + shape;
    if (!raw) size += 1 + gnomon_varint_size(contents) + contents;
    gnomon_write_head(out, 5, size);
    buffer_append(out, output->head.data, output->head.size);
    gnomon_write_head(out, 3, shape);
    gnomon_write_varint(out, rows);
    for (int axis = 0; axis < output->rank; axis++)
        gnomon_write_varint(out, (uint64_t)output->shape[axis]);
    if (!raw) write_typed(output, count, list, out);
}

void gnomon_answer_write(const struct output *outputs, int count, uint64_t wanted, size_t rows,
                         int raw, struct buffer *out) {
    for (int index = 0; index < count; index++)
        if (wanted >> index & 1) write_tensor(&outputs[index], rows, raw, out);
    for (int index = 0; raw && index < count; index++)
        if (wanted >> index & 1) write_raw(&outputs[index], rows * outputs[index].width, out);
}
