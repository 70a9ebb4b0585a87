/* The outputs of a ModelInferResponse, from where the engine wrote them. */
#ifndef GNOMON_ANSWER_H
#define GNOMON_ANSWER_H

#include "message.h"

/* ONNX's numbers of element types. */
enum { ONNX_FLOAT32 = 1, ONNX_INT32 = 6, ONNX_INT64 = 7, ONNX_FLOAT64 = 11 };

struct output {
    struct slice name, head; /* head: the encoded name and datatype */
    const void *data;
    int element_type;
    enum datatype wire_type;
    size_t width; /* elements of a row */
    /* The dimensions behind the row's: as the answer and as the engine has them. */
    int rank, tensor_rank;
    int64_t shape[8], tensor_shape[8];
    /* The texts of a category by code. */
    const struct slice *texts;
    size_t text_count, text_longest;
};

/* Pure functions, for any thread.
 *
 * An upper bound of the bytes that the outputs of so many rows take. */
size_t gnomon_answer_room(const struct output *outputs, int count, size_t rows);
/* Append the outputs whose bit is set in `wanted`; the caller has reserved `answer_room`. */
void gnomon_answer_write(const struct output *outputs, int count, uint64_t wanted, size_t rows,
                         int raw, struct buffer *out);

#endif
