/* TLS of a connection: handshake, reading, writing, and whom the other side has proved to be. */
#ifndef GNOMON_TLS_H
#define GNOMON_TLS_H

#include <sys/types.h>

#include "buffer.h"
#include "tls_library.h"

enum tls_progress { TLS_BROKEN = -1, TLS_DONE = 0, TLS_WAITS_TO_READ, TLS_WAITS_TO_WRITE };

/* A context from files (PEM), from any thread; the caller frees it. `ciphers`: what TLS 1.2 may
 * agree on, the best first. `authority` NULL: clients need no certificate. NULL if they cannot be
 * used; `fault` says why. */
tls_context *gnomon_tls_context_new(const char *ciphers, const char *certificate, const char *key,
                                    const char *authority, char *fault, size_t fault_size);
/* From any thread: one more owner, who frees it too; one owner less. */
void gnomon_tls_context_share(tls_context *context);
void gnomon_tls_context_free(tls_context *context);

/* All that follow: on the connection's loop.
 *
 * A session over a socket, which stays the caller's; NULL if there is no memory. */
tls_session *gnomon_tls_open(tls_context *context, int socket);
/* Go on with the handshake. */
enum tls_progress gnomon_tls_shake(tls_session *session);
/* Why the handshake is broken, right after it; static text, or NULL if the client has left. */
const char *gnomon_tls_fault(const tls_session *session);
/* Append the verified certificate's first common name, as UTF-8. 0, also if there is no certificate
 * or no name; -1 if it is too long or there is no memory. */
int gnomon_tls_peer_name(tls_session *session, struct buffer *name);
/* As `recv` and `send`: -1 with EAGAIN in `errno` if the socket must be waited for. */
ssize_t gnomon_tls_read(tls_session *session, void *data, size_t size);
ssize_t gnomon_tls_write(tls_session *session, const void *data, size_t size);
/* Whether there is more to read that no event of the socket will tell of. */
int gnomon_tls_has_unread(const tls_session *session);
/* Free the session; tell the other side, unless it is broken. */
void gnomon_tls_close(tls_session *session, int is_broken);

#endif
