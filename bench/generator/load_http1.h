/* The load generator's HTTP/1: one request after the other on each link. On the loop's thread. */
#ifndef GNOMON_LOAD_HTTP1_H
#define GNOMON_LOAD_HTTP1_H

#include "load_state.h"

/* Add a flight's request to `out`; 0, or -1 without memory. */
int gnomon_load_http1_submit(struct load_flight *flight);
/* Read what came; -1: the link is broken, or is to be closed. */
int gnomon_load_http1_read(struct load_link *link, const uint8_t *data, size_t size);
/* The server has closed the link: perhaps that is the end of an answer. */
void gnomon_load_http1_end(struct load_link *link);

#endif
