/* What is kept of a request's headers. */
#include "request_headers.h"

#include "call.h"
#include "framing.h"

static const char INFER[] = "/inference.GRPCInferenceService/ModelInfer";

static int is_text(const uint8_t *text, size_t size, const char *wanted) {
    return strlen(wanted) == size && !memcmp(text, wanted, size);
}

/* Whether a path is among some that lie one behind the other, each with its 0. */
static int is_listed(const char *paths, const uint8_t *value, size_t size) {
    for (const char *one = paths; *one; one += strlen(one) + 1)
        if (is_text(value, size, one)) return 1;
    return 0;
}

static void read_path(struct call *call, const uint8_t *value, size_t size) {
    const struct loop *loop = call->loop;
    call->path_size = size <= PATH_LIMIT ? size : 0;
    memcpy(call->path, value, call->path_size);
    call->is_infer = is_text(value, size, INFER);
    call->is_streaming = !call->is_infer && is_listed(loop->streaming, value, size);
    call->is_known = call->is_infer || call->is_streaming ||
                     (call->path_size && (!loop->unary || is_listed(loop->unary, value, size)));
}

int gnomon_request_header_add(struct call *call, const uint8_t *name, size_t name_size,
                              const uint8_t *value, size_t value_size) {
    struct loop *loop = call->loop;
    call->header_bytes += name_size + value_size + 32;
    if (call->header_bytes > 4 * loop->limits.header_bytes) return H2_STREAM_FAILED;
    /* Trailers say nothing that is read, and Python may be at what the headers said. */
    if (call->streaming || call->body.size) return 0;
    switch (name_size) {
    case 5:
        if (!memcmp(name, ":path", 5)) read_path(call, value, value_size);
        break;
    case 7:
        if (!memcmp(name, ":method", 7) && !is_text(value, value_size, "POST"))
            call->http_status = 405;
        break;
    case 12:
        if (!memcmp(name, "content-type", 12) && !gnomon_is_grpc(value, value_size))
            call->http_status = 415;
        else if (!memcmp(name, "grpc-timeout", 12)) {
            uint64_t timeout = gnomon_read_timeout(value, value_size);
            if (timeout) call->deadline = loop->now + timeout;
        }
        break;
    case 13:
        if (!memcmp(name, "grpc-encoding", 13))
            call->encoding = is_text(value, value_size, "identity")  ? ENCODING_IDENTITY
                             : is_text(value, value_size, "gzip")    ? ENCODING_GZIP
                             : is_text(value, value_size, "deflate") ? ENCODING_DEFLATE
                                                                     : ENCODING_OTHER;
        else if (!memcmp(name, "authorization", 13)) {
            if (value_size > loop->limits.header_bytes || loop->held > loop->limits.total_bytes)
                return H2_STREAM_FAILED;
            /* What comes more than once is one list (RFC 9110, 5.2), and that is no credential. */
            int has_more = call->has_authorization;
            call->has_authorization = 1;
            gnomon_call_hold(call, value_size + (has_more ? 2 : 0));
            if ((has_more && buffer_append(&call->authorization, ", ", 2)) ||
                buffer_append(&call->authorization, value, value_size))
                return H2_CONNECTION_FAILED;
        }
        break;
    }
    return 0;
}
