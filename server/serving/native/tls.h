/* TLS of a connection: handshake, reading, writing, and whom the other side has proved to be. */
#ifndef GNOMON_TLS_H
#define GNOMON_TLS_H

#include <sys/types.h>

#include "buffer.h"
#include "tls_library.h"

enum tls_progress { TLS_BROKEN = -1, TLS_DONE = 0, TLS_WAITS_TO_READ, TLS_WAITS_TO_WRITE };

/* Read the files (PEM); `authority` NULL: clients need no certificate. NULL, and why in `fault`,
 * where they are not to be used. */
tls_context *gnomon_tls_context_new(const char *certificate, const char *key, const char *authority,
                                    char *fault, size_t fault_size);
void gnomon_tls_context_share(tls_context *context); /* to be freed once more */
void gnomon_tls_context_free(tls_context *context);
/* A session over a socket; NULL where there is no memory. */
tls_session *gnomon_tls_open(tls_context *context, int socket);
enum tls_progress gnomon_tls_shake(tls_session *session);
/* The verified certificate's first common name, as UTF-8; 0, or -1 where it is too long. */
int gnomon_tls_peer_name(tls_session *session, struct buffer *name);
/* As `recv` and `send`: -1 with EAGAIN in `errno` where the socket must be waited for. */
ssize_t gnomon_tls_read(tls_session *session, void *data, size_t size);
ssize_t gnomon_tls_write(tls_session *session, const void *data, size_t size);
/* Whether there is more to read that no event of the socket will tell of. */
int gnomon_tls_has_unread(const tls_session *session);
void gnomon_tls_close(tls_session *session, int is_broken);

#endif
