/* TLS of a connection: handshake, reading, writing, and whom the other side has proved to be. */
#ifndef GNOMON_TLS_H
#define GNOMON_TLS_H

#include <sys/types.h>

#include "buffer.h"
#include "tls_library.h"

enum tls_progress { TLS_BROKEN = -1, TLS_DONE = 0, TLS_WAITS_TO_READ, TLS_WAITS_TO_WRITE };

/* Read the files (PEM); `authority` NULL: clients need no certificate. NULL, and why in `fault`,
 * where they are not to be used. */
tls_context *tls_context_new(const char *certificate, const char *key, const char *authority,
                             char *fault, size_t fault_size);
void tls_context_share(tls_context *context); /* to be freed once more */
void tls_context_free(tls_context *context);
/* A session over a socket; NULL where there is no memory. */
tls_session *tls_open(tls_context *context, int socket);
enum tls_progress tls_shake(tls_session *session);
/* The verified certificate's first common name, as UTF-8; 0, or -1 where it is too long. */
int tls_peer_name(tls_session *session, struct buffer *name);
/* As `recv` and `send`: -1 with EAGAIN in `errno` where the socket must be waited for. */
ssize_t tls_read(tls_session *session, void *data, size_t size);
ssize_t tls_write(tls_session *session, const void *data, size_t size);
/* Whether there is more to read that no event of the socket will tell of. */
int tls_has_unread(const tls_session *session);
void tls_close(tls_session *session, int is_broken);

#endif
