/* The honest server's HTTP/2: requests by their path, answers in one frame. */
#include "honest_state.h"

static int on_header(h2_session *session, const h2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user) {
    static const char path[] = ":path";
    struct honest_client *client = user;
    (void)flags;
    if (name_size != sizeof path - 1 || memcmp(name, path, name_size)) return 0;
    const struct honest_answer *answer = gnomon_honest_find(client->server, value, value_size);
    return gnomon_h2_table.session_set_stream_user_data(session, frame->head.stream_id,
                                                        (void *)answer);
}

static int on_frame(h2_session *session, const h2_frame *frame, void *user) {
    uint8_t type = frame->head.type;
    int32_t stream = frame->head.stream_id;
    if ((type != H2_DATA && type != H2_HEADERS) || !(frame->head.flags & H2_END_STREAM)) return 0;
    const struct honest_answer *answer =
        gnomon_h2_table.session_get_stream_user_data(session, stream);
    if (!answer) return 0;
    return gnomon_honest_request(user, stream, answer) ? H2_CONNECTION_FAILED : 0;
}

int gnomon_honest_http2_prepare(struct honest *server) {
    if (gnomon_h2_table.session_callbacks_new(&server->callbacks)) return -1;
    if (gnomon_h2_table.option_new(&server->option)) return -1;
    gnomon_h2_table.option_set_no_closed_streams(server->option, 1);
    gnomon_h2_table.session_callbacks_set_on_header_callback(server->callbacks, on_header);
    gnomon_h2_table.session_callbacks_set_on_frame_recv_callback(server->callbacks, on_frame);
    return 0;
}

int gnomon_honest_http2_open(struct honest_client *client) {
    static const h2_setting settings[] = {{H2_MAX_CONCURRENT_STREAMS, 10000},
                                          {H2_INITIAL_WINDOW_SIZE, 1 << 20}};
    struct honest *server = client->server;
    if (gnomon_h2_table.session_server_new2(&client->session, server->callbacks, client,
                                            server->option))
        return -1;
    gnomon_h2_table.session_set_local_window_size(client->session, 0, 0, 16 << 20);
    return gnomon_h2_table.submit_settings(client->session, 0, settings, 2) ? -1 : 0;
}

int gnomon_honest_http2_read(struct honest_client *client) {
    ssize_t read =
        gnomon_h2_table.session_mem_recv(client->session, client->in.data, client->in.size);
    client->in.size = 0;
    return read < 0 ? -1 : 0;
}

int gnomon_honest_http2_write(struct honest_client *client) {
    const uint8_t *data;
    ssize_t size;
    while ((size = gnomon_h2_table.session_mem_send(client->session, &data)) > 0)
        if (buffer_append(&client->out, data, (size_t)size)) return -1;
    if (size < 0) return -1;
    int is_open = gnomon_h2_table.session_want_read(client->session) ||
                  gnomon_h2_table.session_want_write(client->session);
    return is_open || client->out.size > client->sent ? 0 : -1;
}

static ssize_t read_body(h2_session *session, int32_t stream, uint8_t *out, size_t room,
                         uint32_t *flags, h2_source *source, void *user) {
    static const h2_header trailers[] = {H2_HEADER("grpc-status", "0")};
    const struct honest_answer *answer = source->pointer;
    (void)user;
    if (answer->body.size > room) return H2_DEFERRED;
    memcpy(out, answer->body.data, answer->body.size);
    *flags = H2_DATA_EOF;
    if (answer->is_grpc) {
        *flags |= H2_DATA_NO_END_STREAM;
        if (gnomon_h2_table.submit_trailer(session, stream, trailers, 1)) return H2_STREAM_FAILED;
    }
    return (ssize_t)answer->body.size;
}

int gnomon_honest_http2_answer(struct honest_client *client, int32_t stream,
                               const struct honest_answer *answer) {
    static const h2_header grpc[] = {H2_HEADER(":status", "200"),
                                     H2_HEADER("content-type", "application/grpc")};
    static const h2_header rest[] = {H2_HEADER(":status", "200"),
                                     H2_HEADER("content-type", "application/json")};
    h2_provider provider = {{.pointer = (void *)answer}, read_body};
    /* A stream that the client has reset is no longer there, which is no fault. */
    gnomon_h2_table.submit_response(client->session, stream, answer->is_grpc ? grpc : rest, 2,
                                    &provider);
    return 0;
}
