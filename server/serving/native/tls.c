/* TLS 1.2 and later, with HTTP/2 agreed on by ALPN. Nothing is resumed: connections live long, and
 * what is resumed would outlive a change of the clients' authority. */
#include "tls.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

enum { NAME_LIMIT = 256 };

static int choose_protocol(tls_session *session, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *offered, unsigned int size, void *context) {
    (void)session, (void)context;
    for (unsigned int at = 0; at < size; at += 1u + offered[at]) {
        if (offered[at] != 2 || at + 3 > size || memcmp(offered + at + 1, "h2", 2)) continue;
        *out = offered + at + 1;
        *out_size = 2;
        return TLS_ALPN_OK;
    }
    return TLS_ALPN_FATAL;
}

/* A key that needs a password must not wait for someone at a terminal. */
static int give_no_password(char *out, int size, int is_writing, void *context) {
    (void)out, (void)size, (void)is_writing, (void)context;
    return -1;
}

static int use_files(tls_context *context, const char *certificate, const char *key,
                     const char *authority, const char **which) {
    *which = "certificate_file";
    if (tls.SSL_CTX_use_certificate_chain_file(context, certificate) != 1) return -1;
    *which = "key_file";
    if (tls.SSL_CTX_use_PrivateKey_file(context, key, TLS_FILE_PEM) != 1 ||
        tls.SSL_CTX_check_private_key(context) != 1)
        return -1;
    if (!authority) return 0;
    *which = "client_authority_file";
    void *names = tls.SSL_load_client_CA_file(authority);
    if (!names || tls.SSL_CTX_load_verify_file(context, authority) != 1) return -1;
    tls.SSL_CTX_set_client_CA_list(context, names);
    tls.SSL_CTX_set_verify(context, TLS_VERIFY_REQUIRED, NULL);
    return 0;
}

static void tell_fault(const char *which, char *fault, size_t size) {
    const char *reason = tls.ERR_reason_error_string(tls.ERR_get_error());
    snprintf(fault, size, "%s: %s", which, reason ? reason : "it cannot be read");
}

tls_context *tls_context_new(const char *certificate, const char *key, const char *authority,
                             char *fault, size_t fault_size) {
    const char *which = "OpenSSL";
    tls.ERR_clear_error();
    tls_context *context = tls.SSL_CTX_new(tls.TLS_server_method());
    if (!context) {
        tell_fault(which, fault, fault_size);
        return NULL;
    }
    tls.SSL_CTX_ctrl(context, TLS_CONTROL_LEAST_VERSION, TLS_VERSION_1_2, NULL);
    tls.SSL_CTX_ctrl(context, TLS_CONTROL_CACHE, 0, NULL);
    tls.SSL_CTX_ctrl(context, TLS_CONTROL_MODE,
                     TLS_PARTIAL_WRITE | TLS_MOVING_BUFFER | TLS_RELEASE_BUFFERS, NULL);
    tls.SSL_CTX_set_options(context, TLS_NO_TICKET | TLS_NO_RENEGOTIATION);
    tls.SSL_CTX_set_num_tickets(context, 0);
    tls.SSL_CTX_ctrl(context, TLS_CONTROL_READ_AHEAD, 1, NULL);
    tls.SSL_CTX_set_default_passwd_cb(context, give_no_password);
    tls.SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    if (use_files(context, certificate, key, authority, &which)) {
        tell_fault(which, fault, fault_size);
        tls.ERR_clear_error();
        tls.SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

void tls_context_share(tls_context *context) {
    tls.SSL_CTX_up_ref(context);
}

void tls_context_free(tls_context *context) {
    tls.SSL_CTX_free(context);
}

tls_session *tls_open(tls_context *context, int socket) {
    tls_session *session = tls.SSL_new(context);
    if (session && tls.SSL_set_fd(session, socket) != 1) {
        tls.SSL_free(session);
        return NULL;
    }
    return session;
}

static enum tls_progress progress(const tls_session *session, int result) {
    switch (tls.SSL_get_error(session, result)) {
    case TLS_WANTS_READ: return TLS_WAITS_TO_READ;
    case TLS_WANTS_WRITE: return TLS_WAITS_TO_WRITE;
    default: return TLS_BROKEN;
    }
}

enum tls_progress tls_shake(tls_session *session) {
    const unsigned char *protocol = NULL;
    unsigned size = 0;
    tls.ERR_clear_error();
    int result = tls.SSL_accept(session);
    if (result != 1) return progress(session, result);
    /* Who offers no protocol at all is not asked to choose. */
    tls.SSL_get0_alpn_selected(session, &protocol, &size);
    return size == 2 && !memcmp(protocol, "h2", 2) ? TLS_DONE : TLS_BROKEN;
}

int tls_peer_name(tls_session *session, struct buffer *name) {
    void *certificate = tls.SSL_get1_peer_certificate(session);
    if (!certificate) return 0;
    void *subject = tls.X509_get_subject_name(certificate);
    int place = tls.X509_NAME_get_index_by_NID(subject, TLS_COMMON_NAME, -1);
    int fault = 0;
    if (place >= 0) {
        unsigned char *text = NULL;
        void *entry = tls.X509_NAME_get_entry(subject, place);
        int size = tls.ASN1_STRING_to_UTF8(&text, tls.X509_NAME_ENTRY_get_data(entry));
        fault = size < 0 || size > NAME_LIMIT || buffer_append(name, text, (size_t)size) ? -1 : 0;
        if (size >= 0) tls.CRYPTO_free(text, __FILE__, __LINE__);
    }
    tls.X509_free(certificate);
    return fault;
}

static ssize_t outcome(tls_session *session, int result) {
    if (result > 0) return result;
    errno = progress(session, result) == TLS_BROKEN ? EPIPE : EAGAIN;
    return -1;
}

ssize_t tls_read(tls_session *session, void *data, size_t size) {
    tls.ERR_clear_error();
    return outcome(session, tls.SSL_read(session, data, size > INT_MAX ? INT_MAX : (int)size));
}

ssize_t tls_write(tls_session *session, const void *data, size_t size) {
    tls.ERR_clear_error();
    return outcome(session, tls.SSL_write(session, data, size > INT_MAX ? INT_MAX : (int)size));
}

int tls_has_unread(const tls_session *session) {
    return tls.SSL_has_pending(session);
}

void tls_close(tls_session *session, int is_broken) {
    tls.ERR_clear_error();
    if (!is_broken) tls.SSL_shutdown(session);
    tls.SSL_free(session);
}
