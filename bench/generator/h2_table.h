/* The functions of libnghttp2 that clients and the honest server need, resolved at run time. */
#ifndef GNOMON_H2_TABLE_H
#define GNOMON_H2_TABLE_H

#include "../../server/serving/native/h2_library.h"

/* Beside what the server needs of frames and settings. */
enum { H2_ENABLE_PUSH = 2, H2_GOAWAY_FRAME = 7, H2_CANCEL_CODE = 8 };

/* The functions, by the name behind `nghttp2_`. */
/* clang-format off */
#define H2_TABLE(f)                                                                                \
    f(int, session_callbacks_new, (h2_callbacks **))                                               \
    f(void, session_callbacks_set_on_header_callback, (h2_callbacks *, h2_on_header))              \
    f(void, session_callbacks_set_on_frame_recv_callback, (h2_callbacks *, h2_on_frame))           \
    f(void, session_callbacks_set_on_data_chunk_recv_callback, (h2_callbacks *, h2_on_data))       \
    f(void, session_callbacks_set_on_stream_close_callback, (h2_callbacks *, h2_on_close))         \
    f(void, session_callbacks_del, (h2_callbacks *))                                               \
    f(int, option_new, (h2_option **))                                                             \
    f(void, option_set_no_closed_streams, (h2_option *, int))                                      \
    f(void, option_del, (h2_option *))                                                             \
    f(int, session_client_new2, (h2_session **, const h2_callbacks *, void *, const h2_option *))  \
    f(int, session_server_new2, (h2_session **, const h2_callbacks *, void *, const h2_option *))  \
    f(void, session_del, (h2_session *))                                                           \
    f(ssize_t, session_mem_recv, (h2_session *, const uint8_t *, size_t))                          \
    f(ssize_t, session_mem_send, (h2_session *, const uint8_t **))                                 \
    f(int, session_want_read, (h2_session *))                                                      \
    f(int, session_want_write, (h2_session *))                                                     \
    f(uint32_t, session_get_remote_settings, (h2_session *, int))                                  \
    f(int, session_set_local_window_size, (h2_session *, uint8_t, int32_t, int32_t))               \
    f(int, session_set_stream_user_data, (h2_session *, int32_t, void *))                          \
    f(void *, session_get_stream_user_data, (h2_session *, int32_t))                               \
    f(int, submit_settings, (h2_session *, uint8_t, const h2_setting *, size_t))                   \
    f(int32_t, submit_request,                                                                     \
      (h2_session *, const void *, const h2_header *, size_t, const h2_provider *, void *))        \
    f(int, submit_response,                                                                        \
      (h2_session *, int32_t, const h2_header *, size_t, const h2_provider *))                     \
    f(int, submit_trailer, (h2_session *, int32_t, const h2_header *, size_t))                     \
    f(int, submit_rst_stream, (h2_session *, uint8_t, int32_t, uint32_t))
/* clang-format on */

#define H2_TABLE_DECLARE(result, name, arguments) result(*name) arguments;
struct h2_table {
    H2_TABLE(H2_TABLE_DECLARE)
};
extern struct h2_table gnomon_h2_table;

/* Resolve all functions; NULL, or what is missing. A second call does nothing. */
const char *gnomon_h2_table_load(void);

#endif
