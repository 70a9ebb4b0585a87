/* The part of OpenSSL 3's interface that is used, resolved at run time: no headers to build.
 *
 * Macros of OpenSSL's headers are written as the calls that they stand for. */
#ifndef GNOMON_TLS_LIBRARY_H
#define GNOMON_TLS_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

typedef struct tls_context tls_context; /* SSL_CTX */
typedef struct tls_session tls_session; /* SSL */

typedef int (*tls_on_alpn)(tls_session *, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *offered, unsigned int size, void *);
typedef int (*tls_on_password)(char *out, int size, int is_writing, void *);

enum {
    TLS_FILE_PEM = 1,
    TLS_VERIFY_REQUIRED = 1 | 2, /* VERIFY_PEER, FAIL_IF_NO_PEER_CERT */

    TLS_CONTROL_MODE = 33,
    TLS_CONTROL_READ_AHEAD = 41,
    TLS_CONTROL_CACHE = 44,
    TLS_CONTROL_LEAST_VERSION = 123,
    TLS_VERSION_1_2 = 0x0303,

    TLS_PARTIAL_WRITE = 1,
    TLS_MOVING_BUFFER = 2,
    TLS_RELEASE_BUFFERS = 16,

    TLS_NO_TICKET = 1 << 14,
    TLS_SERVER_PREFERENCE = 1 << 22,
    TLS_NO_RENEGOTIATION = 1 << 30,

    TLS_WANTS_READ = 2,
    TLS_WANTS_WRITE = 3,

    TLS_ALPN_OK = 0,
    TLS_ALPN_FATAL = 2,

    TLS_COMMON_NAME = 13,
    TLS_VERIFIED = 0, /* X509_V_OK */

    TLS_REASONS = 0x7fffff, /* the part of an error's number that is its reason */
    TLS_EARLY_END = 294,    /* UNEXPECTED_EOF_WHILE_READING */
};

#define TLS_FUNCTIONS(f)                                                                           \
    f(const void *, TLS_server_method, (void)) f(tls_context *, SSL_CTX_new, (const void *)) f(    \
        void, SSL_CTX_free,                                                                        \
        (tls_context *)) f(int, SSL_CTX_up_ref,                                                    \
                           (tls_context *)) f(long, SSL_CTX_ctrl,                                  \
                                              (tls_context *, int, long,                           \
                                               void *)) f(uint64_t, SSL_CTX_set_options,           \
                                                          (tls_context *, uint64_t))               \
        f(int, SSL_CTX_set_num_tickets, (tls_context *, size_t)) f(                                \
            void, SSL_CTX_set_default_passwd_cb,                                                   \
            (tls_context *,                                                                        \
             tls_on_password)) f(int, SSL_CTX_use_certificate_chain_file,                          \
                                 (tls_context *, const char *))                                    \
            f(int, SSL_CTX_use_PrivateKey_file, (tls_context *, const char *, int)) f(             \
                int, SSL_CTX_check_private_key,                                                    \
                (const tls_context                                                                 \
                     *)) f(int, SSL_CTX_load_verify_file, (tls_context *, const char *))           \
                f(void *, SSL_load_client_CA_file, (const char *)) f(                              \
                    void,                                                                          \
                    SSL_CTX_set_client_CA_list,                                                    \
                    (tls_context *,                                                                \
                     void *)) f(void, SSL_CTX_set_verify, (tls_context *, int, void *))            \
                    f(void, SSL_CTX_set_alpn_select_cb, (tls_context *, tls_on_alpn, void *)) f(   \
                        tls_session                                                                \
                            *,                                                                     \
                        SSL_new, (tls_context *)) f(void, SSL_free, (tls_session *))               \
                        f(int, SSL_set_fd, (tls_session *, int)) f(                                \
                            int, SSL_accept,                                                       \
                            (tls_session *)) f(int, SSL_read, (tls_session *, void *, int))        \
                            f(int, SSL_write, (tls_session *, const void *, int)) f(               \
                                int, SSL_shutdown,                                                 \
                                (tls_session *)) f(int, SSL_has_pending, (const tls_session *))    \
                                f(int, SSL_get_error, (const tls_session *, int)) f(               \
                                    void,                                                          \
                                    SSL_get0_alpn_selected,                                        \
                                    (const tls_session *, const unsigned char **, unsigned *))     \
                                    f(void *, SSL_get1_peer_certificate, (const tls_session *)) f( \
                                        void *,                                                    \
                                        X509_get_subject_name,                                     \
                                        (const void *)) f(void, X509_free, (void *))               \
                                        f(int, X509_NAME_get_index_by_NID,                         \
                                          (const void *, int,                                      \
                                           int)) f(void *, X509_NAME_get_entry,                    \
                                                   (const void *, int))                            \
                                            f(void *, X509_NAME_ENTRY_get_data, (const void *)) f( \
                                                int, ASN1_STRING_to_UTF8,                          \
                                                (unsigned char **, const void *))                  \
                                                f(void, CRYPTO_free,                               \
                                                  (void *, const char *,                           \
                                                   int)) f(void, ERR_clear_error, (void))          \
                                                    f(unsigned long, ERR_get_error, (void)) f(     \
                                                        const char *,                              \
                                                        ERR_reason_error_string, (unsigned long))  \
                                                        f(int, SSL_CTX_set_cipher_list,            \
                                                          (tls_context *, const char *))           \
                                                            f(unsigned long, ERR_peek_last_error,  \
                                                              (                                    \
                                                                  void)) f(long,                   \
                                                                           SSL_get_verify_result,  \
                                                                           (const tls_session *))  \
                                                                f(const char *,                    \
                                                                  X509_verify_cert_error_string,   \
                                                                  (long))

#define TLS_DECLARE(result, name, arguments) result(*name) arguments;
struct tls_functions {
    TLS_FUNCTIONS(TLS_DECLARE)
};
extern struct tls_functions gnomon_tls;

/* Resolve all functions; NULL, or what is missing. A second call does nothing. */
const char *gnomon_tls_load(void);

#endif
