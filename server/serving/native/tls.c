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
    if (gnomon_tls.SSL_CTX_use_certificate_chain_file(context, certificate) != 1) return -1;
    *which = "key_file";
    if (gnomon_tls.SSL_CTX_use_PrivateKey_file(context, key, TLS_FILE_PEM) != 1 ||
        gnomon_tls.SSL_CTX_check_private_key(context) != 1)
        return -1;
    if (!authority) return 0;
    *which = "client_authority_file";
    void *names = gnomon_tls.SSL_load_client_CA_file(authority);
    if (!names || gnomon_tls.SSL_CTX_load_verify_file(context, authority) != 1) return -1;
    gnomon_tls.SSL_CTX_set_client_CA_list(context, names);
    gnomon_tls.SSL_CTX_set_verify(context, TLS_VERIFY_REQUIRED, NULL);
    return 0;
}

static void tell_fault(const char *which, char *fault, size_t size) {
    const char *reason = gnomon_tls.ERR_reason_error_string(gnomon_tls.ERR_get_error());
    snprintf(fault, size, "%s: %s", which, reason ? reason : "it cannot be read");
}

tls_context *gnomon_tls_context_new(const char *ciphers, const char *certificate, const char *key,
                                    const char *authority, char *fault, size_t fault_size) {
    const char *which = "OpenSSL";
    gnomon_tls.ERR_clear_error();
    tls_context *context = gnomon_tls.SSL_CTX_new(gnomon_tls.TLS_server_method());
    if (!context) {
        tell_fault(which, fault, fault_size);
        return NULL;
    }
    gnomon_tls.SSL_CTX_ctrl(context, TLS_CONTROL_LEAST_VERSION, TLS_VERSION_1_2, NULL);
    gnomon_tls.SSL_CTX_ctrl(context, TLS_CONTROL_CACHE, 0, NULL);
    gnomon_tls.SSL_CTX_ctrl(context, TLS_CONTROL_MODE,
                            TLS_PARTIAL_WRITE | TLS_MOVING_BUFFER | TLS_RELEASE_BUFFERS, NULL);
    gnomon_tls.SSL_CTX_set_options(context,
                                   TLS_NO_TICKET | TLS_NO_RENEGOTIATION | TLS_SERVER_PREFERENCE);
    gnomon_tls.SSL_CTX_set_num_tickets(context, 0);
    gnomon_tls.SSL_CTX_ctrl(context, TLS_CONTROL_READ_AHEAD, 1, NULL);
    gnomon_tls.SSL_CTX_set_default_passwd_cb(context, give_no_password);
    gnomon_tls.SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    if (gnomon_tls.SSL_CTX_set_cipher_list(context, ciphers) != 1 ||
        use_files(context, certificate, key, authority, &which)) {
        tell_fault(which, fault, fault_size);
        gnomon_tls.ERR_clear_error();
        gnomon_tls.SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

void gnomon_tls_context_share(tls_context *context) {
    gnomon_tls.SSL_CTX_up_ref(context);
}

void gnomon_tls_context_free(tls_context *context) {
    gnomon_tls.SSL_CTX_free(context);
}

tls_session *gnomon_tls_open(tls_context *context, int socket) {
    tls_session *session = gnomon_tls.SSL_new(context);
    if (session && gnomon_tls.SSL_set_fd(session, socket) != 1) {
        gnomon_tls.SSL_free(session);
        return NULL;
    }
    return session;
}

static enum tls_progress progress(const tls_session *session, int result) {
    switch (gnomon_tls.SSL_get_error(session, result)) {
    case TLS_WANTS_READ: return TLS_WAITS_TO_READ;
    case TLS_WANTS_WRITE: return TLS_WAITS_TO_WRITE;
    default: return TLS_BROKEN;
    }
}

enum tls_progress gnomon_tls_shake(tls_session *session) {
    const unsigned char *protocol = NULL;
    unsigned size = 0;
    gnomon_tls.ERR_clear_error();
    int result = gnomon_tls.SSL_accept(session);
    if (result != 1) return progress(session, result);
    /* Who offers no protocol at all is not asked to choose. */
    gnomon_tls.SSL_get0_alpn_selected(session, &protocol, &size);
    return size == 2 && !memcmp(protocol, "h2", 2) ? TLS_DONE : TLS_BROKEN;
}

const char *gnomon_tls_fault(const tls_session *session) {
    long verified = gnomon_tls.SSL_get_verify_result(session);
    if (verified != TLS_VERIFIED) return gnomon_tls.X509_verify_cert_error_string(verified);
    unsigned long fault = gnomon_tls.ERR_peek_last_error();
    return (fault & TLS_REASONS) == TLS_EARLY_END ? NULL
                                                  : gnomon_tls.ERR_reason_error_string(fault);
}

int gnomon_tls_peer_name(tls_session *session, struct buffer *name) {
    void *certificate = gnomon_tls.SSL_get1_peer_certificate(session);
    if (!certificate) return 0;
    void *subject = gnomon_tls.X509_get_subject_name(certificate);
    int place = gnomon_tls.X509_NAME_get_index_by_NID(subject, TLS_COMMON_NAME, -1);
    int fault = 0;
    if (place >= 0) {
        unsigned char *text = NULL;
        void *entry = gnomon_tls.X509_NAME_get_entry(subject, place);
        int size =
            gnomon_tls.ASN1_STRING_to_UTF8(&text, gnomon_tls.X509_NAME_ENTRY_get_data(entry));
        fault = size < 0 || size > NAME_LIMIT || buffer_append(name, text, (size_t)size) ? -1 : 0;
        if (size >= 0) gnomon_tls.CRYPTO_free(text, __FILE__, __LINE__);
    }
    gnomon_tls.X509_free(certificate);
    return fault;
}

static ssize_t outcome(tls_session *session, int result) {
    if (result > 0) return result;
    errno = progress(session, result) == TLS_BROKEN ? EPIPE : EAGAIN;
    return -1;
}

ssize_t gnomon_tls_read(tls_session *session, void *data, size_t size) {
    gnomon_tls.ERR_clear_error();
    return outcome(session,
                   gnomon_tls.SSL_read(session, data, size > INT_MAX ? INT_MAX : (int)size));
}

ssize_t gnomon_tls_write(tls_session *session, const void *data, size_t size) {
    gnomon_tls.ERR_clear_error();
    return outcome(session,
                   gnomon_tls.SSL_write(session, data, size > INT_MAX ? INT_MAX : (int)size));
}

int gnomon_tls_has_unread(const tls_session *session) {
    return gnomon_tls.SSL_has_pending(session);
}

void gnomon_tls_close(tls_session *session, int is_broken) {
    gnomon_tls.ERR_clear_error();
    if (!is_broken) gnomon_tls.SSL_shutdown(session);
    gnomon_tls.SSL_free(session);
}
