/* The streams of a connection: nghttp2's callbacks, and which kind of call each stream is. */
#ifndef GNOMON_HTTP2_H
#define GNOMON_HTTP2_H

#include "state.h"

/* Before the loop runs: what all its sessions share. 0, or -1 if there is no memory. */
int gnomon_http2_prepare(struct loop *loop);
/* On the loop: a session for a connection, which owns it; NULL if there is no memory. */
h2_session *gnomon_http2_open(struct connection *connection);
/* On the loop: a call's stream has ended, or is to go on without it. */
void gnomon_http2_end_call(struct call *call);

#endif
