/* What is kept of a request's headers. */
#ifndef GNOMON_REQUEST_HEADERS_H
#define GNOMON_REQUEST_HEADERS_H

#include "state.h"

/* On the loop, for a call in CALL_RECEIVING: keep what a header says, if it is one that is read.
 * 0, or nghttp2's error: H2_STREAM_FAILED for a header that is too large, H2_CONNECTION_FAILED if
 * there is no memory. */
int gnomon_request_header_add(struct call *call, const uint8_t *name, size_t name_size,
                              const uint8_t *value, size_t value_size);

#endif
