/* The load generator's HTTP/2: gRPC and REST. On the loop's thread. */
#ifndef GNOMON_LOAD_HTTP2_H
#define GNOMON_LOAD_HTTP2_H

#include "load_state.h"

/* Make the callbacks that all sessions share; 0, or -1 without memory. */
int gnomon_load_http2_prepare(struct load *load);
/* Begin a session on a link that is connected; 0, or -1 without memory. */
int gnomon_load_http2_open(struct load_link *link);
/* Submit a flight's request; 0, or -1: no more of them on this link. */
int gnomon_load_http2_submit(struct load_flight *flight);
/* Read what came; -1: the link is broken. */
int gnomon_load_http2_read(struct load_link *link, const uint8_t *data, size_t size);
/* Add what is to be sent to `out`; -1: the link is broken. */
int gnomon_load_http2_write(struct load_link *link);
/* How many requests the server lets be open on this link. */
size_t gnomon_load_http2_room(const struct load_link *link);

#endif
