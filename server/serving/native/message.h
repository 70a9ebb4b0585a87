/* ModelInferRequest in the form that clients write it, and the parts of a ModelInferResponse.
 *
 * What is unusual but allowed (unknown fields, parameters, contents in pieces, …) is not read
 * here: `gnomon_request_read` declines it, and protobuf's own decoder reads it instead. */
#ifndef GNOMON_MESSAGE_H
#define GNOMON_MESSAGE_H

#include "buffer.h"

enum { TENSORS_LIMIT = 512, OUTPUTS_LIMIT = 64 };

enum datatype {
    TYPE_BOOL,
    TYPE_UINT8,
    TYPE_UINT16,
    TYPE_UINT32,
    TYPE_UINT64,
    TYPE_INT8,
    TYPE_INT16,
    TYPE_INT32,
    TYPE_INT64,
    TYPE_FP16,
    TYPE_FP32,
    TYPE_FP64,
    TYPE_BYTES,
    TYPE_UNKNOWN,
};

struct tensor {
    struct slice name;
    struct slice contents; /* of the typed form: the numbers, or the message with the texts */
    enum datatype type;
    int64_t rows, width; /* width: elements of a row */
    int rank;
    int contents_field; /* 0 if there are none */
    int is_raw;
};

struct request {
    struct slice model, version, id, key;
    int tensors, outputs, raw;
    int has_key; /* the one parameter that is read here */
    struct tensor tensor[TENSORS_LIMIT];
    struct slice output[OUTPUTS_LIMIT];
};

/* Reads one element after the other. */
struct cursor {
    const uint8_t *at, *end;
    enum datatype type;
    int is_raw;
};

enum element_kind {
    ELEMENT_BAD,
    ELEMENT_BOOL,
    ELEMENT_SIGNED,
    ELEMENT_UNSIGNED,
    ELEMENT_DOUBLE,
    ELEMENT_TEXT
};

struct element {
    enum element_kind kind;
    int64_t whole;
    uint64_t natural;
    double number;
    struct slice text;
};

/* Pure functions, for any thread.
 *
 * Read a request: 0, or -1 to decline. The request points into `data`, which must outlive it. */
int gnomon_request_read(const uint8_t *data, size_t size, struct request *request);
/* Begin with a tensor's elements: 0, or -1 if they are not as many as the shape says. */
int gnomon_cursor_start(const struct tensor *tensor, struct cursor *cursor);
/* The next element; ELEMENT_BAD if it is not one of the tensor's type. */
void gnomon_cursor_next(struct cursor *cursor, struct element *element);

#endif
