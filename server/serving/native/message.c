#include "message.h"

#include "protobuf.h"

#include <stddef.h>

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
        return choice.size == 2 && truth[0] == (1 << 3 | PROTOBUF_VARINT) && truth[1] <= 1 ? 0 : -1;
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
