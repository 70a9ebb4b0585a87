/* One connection: what is read is shown to nghttp2, and what nghttp2 has to send is written. All
 * but `gnomon_loop_use_tls` run on the loop. */
#ifndef GNOMON_CONNECTION_H
#define GNOMON_CONNECTION_H

#include "state.h"

/* From any thread, without the queue's lock: serve connections to come with this context, which is
 * the loop's from then on. */
void gnomon_loop_use_tls(struct loop *loop, tls_context *context);
/* Serve a socket that is counted in the loop's load, and is the connection's from then on. If there
 * is no memory, it is closed. */
void gnomon_connection_open(struct loop *loop, int socket);
/* End all calls, and free the connection. */
void gnomon_connection_close(struct connection *connection);
/* There is an event: go on with handshake, writing or reading. May free the connection. */
void gnomon_connection_attend(struct connection *connection, int is_writable);
/* Read those connections of which TLS has read ahead. */
void gnomon_connections_read_left(struct loop *loop);
/* Send all that can be sent. Frees the connection if it has ended or is broken. */
void gnomon_connection_flush(struct connection *connection);

#endif
