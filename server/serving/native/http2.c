#include "http2.h"

#include "bidi.h"
#include "call.h"
#include "request_headers.h"
#include "response.h"
#include "unary.h"

static int on_begin_headers(h2_session *session, const h2_frame *frame, void *user) {
    struct connection *connection = user;
    int32_t stream = frame->head.stream_id;
    if (gnomon_h2.session_get_stream_user_data(session, stream)) return 0;
    struct call *call = gnomon_call_new(connection, stream);
    if (!call) return H2_CONNECTION_FAILED;
    connection->header_since = connection->loop->now;
    connection->header_bytes = 0;
    return gnomon_h2.session_set_stream_user_data(session, stream, call) ? H2_CONNECTION_FAILED : 0;
}

static int on_header(h2_session *session, const h2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user) {
    struct call *call = gnomon_h2.session_get_stream_user_data(session, frame->head.stream_id);
    (void)flags, (void)user;
    return call ? gnomon_request_header_add(call, name, name_size, value, value_size) : 0;
}

static int on_data(h2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t size, void *user) {
    struct connection *connection = user;
    struct call *call = gnomon_h2.session_get_stream_user_data(session, stream);
    (void)flags;
    connection->heard = connection->loop->now;
    if (call && call->streaming) {
        if (gnomon_h2.session_consume_connection(session, size)) return H2_CONNECTION_FAILED;
        gnomon_bidi_data(call, data, size);
        return 0;
    }
    if (gnomon_h2.session_consume(session, stream, size)) return H2_CONNECTION_FAILED;
    return call && gnomon_unary_data(call, data, size) ? H2_CONNECTION_FAILED : 0;
}

/* The headers of a streaming call are whole; it does not wait for its request's end. */
static void on_streaming(struct call *call, int has_ended) {
    call->loop->counts.declined++;
    call->connection->heard = call->loop->now;
    call->connection->completed++;
    if (call->http_status) {
        gnomon_submit_trailers(call, has_ended);
    } else if (call->header_bytes > call->loop->limits.header_bytes) {
        gnomon_call_refuse(call, STATUS_RESOURCE_EXHAUSTED, "the request's metadata are too large",
                           has_ended);
    } else {
        gnomon_bidi_open(call, has_ended);
    }
}

static int on_frame(h2_session *session, const h2_frame *frame, void *user) {
    struct connection *connection = user;
    uint8_t type = frame->head.type;
    int32_t stream = frame->head.stream_id;
    int has_ended = frame->head.flags & H2_END_STREAM;
    if (type == H2_HEADERS) connection->header_since = 0;
    if (type == H2_PING && !(frame->head.flags & H2_ACK)) connection->pings++;
    if (type != H2_DATA && type != H2_HEADERS) {
        /* Windows are opened as often as data come; all else costs work that no one asked for. */
        if (type != H2_WINDOW_UPDATE) connection->control++;
        return 0;
    }
    connection->pings = 0;
    if (!has_ended && type == H2_DATA) {
        if (frame->head.length == frame->data_padding) connection->control++;
        return 0;
    }
    struct call *call = gnomon_h2.session_get_stream_user_data(session, stream);
    if (call && call->streaming) {
        if (has_ended) gnomon_bidi_no_more(call);
        return 0;
    }
    if (!call || call->state != CALL_RECEIVING) return 0;
    if (call->is_streaming) {
        on_streaming(call, has_ended);
        return 0;
    }
    /* Who calls what is not here must not wait for the end of what they have to say. */
    if (!has_ended && call->is_known) return 0;
    connection->heard = connection->loop->now;
    connection->completed++;
    if (!has_ended) {
        gnomon_call_refuse(call, STATUS_UNIMPLEMENTED, "Method not found!", 0);
        return 0;
    }
    if (connection->control) connection->control--;
    gnomon_unary_complete(call);
    return 0;
}

/* What is left of a request that was refused half-way is not wanted, once the refusal is out. */
static int on_sent(h2_session *session, const h2_frame *frame, void *user) {
    struct connection *connection = user;
    /* Clients measure with pings how fast data come. */
    if (frame->head.type == H2_DATA) connection->pings = 0;
    if (frame->head.type != H2_HEADERS || !(frame->head.flags & H2_END_STREAM)) return 0;
    struct call *call = gnomon_h2.session_get_stream_user_data(session, frame->head.stream_id);
    if (!call || !call->is_cut) return 0;
    call->is_cut = 0;
    return gnomon_h2.submit_rst_stream(session, 0, frame->head.stream_id, H2_NO_ERROR);
}

void gnomon_http2_end_call(struct call *call) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    gnomon_call_leave_connection(call);
    if (call->streaming) gnomon_bidi_end(call);
    else gnomon_unary_end(call);
}

static int on_close(h2_session *session, int32_t stream, uint32_t code, void *user) {
    struct connection *connection = user;
    struct call *call = gnomon_h2.session_get_stream_user_data(session, stream);
    (void)code;
    if (!call) return 0;
    gnomon_h2.session_set_stream_user_data(session, stream, NULL);
    /* A header that was cut short has ended as well. */
    connection->header_since = 0;
    gnomon_http2_end_call(call);
    return 0;
}

int gnomon_http2_prepare(struct loop *loop) {
    if (gnomon_h2.session_callbacks_new(&loop->callbacks) || gnomon_h2.option_new(&loop->option))
        return -1;
    gnomon_h2.session_callbacks_set_on_begin_headers_callback(loop->callbacks, on_begin_headers);
    gnomon_h2.session_callbacks_set_on_header_callback(loop->callbacks, on_header);
    gnomon_h2.session_callbacks_set_on_frame_recv_callback(loop->callbacks, on_frame);
    gnomon_h2.session_callbacks_set_on_data_chunk_recv_callback(loop->callbacks, on_data);
    gnomon_h2.session_callbacks_set_on_frame_send_callback(loop->callbacks, on_sent);
    gnomon_h2.session_callbacks_set_on_stream_close_callback(loop->callbacks, on_close);
    gnomon_h2.option_set_no_closed_streams(loop->option, 1);
    gnomon_h2.option_set_no_auto_window_update(loop->option, 1);
    gnomon_h2.option_set_max_outbound_ack(loop->option, 200);
    return 0;
}

h2_session *gnomon_http2_open(struct connection *connection) {
    GNOMON_ASSERT_ON_LOOP(connection->loop);
    struct loop *loop = connection->loop;
    h2_session *session = NULL;
    const h2_setting settings[] = {
        {H2_MAX_CONCURRENT_STREAMS, loop->limits.concurrent_streams},
        {H2_INITIAL_WINDOW_SIZE, 1 << 20},
        {H2_MAX_HEADER_LIST_SIZE, (uint32_t)loop->limits.header_bytes},
        {H2_NO_RFC7540_PRIORITIES, 1},
    };
    if (gnomon_h2.session_server_new2(&session, loop->callbacks, connection, loop->option))
        return NULL;
    if (gnomon_h2.submit_settings(session, 0, settings, 4) ||
        gnomon_h2.session_set_local_window_size(session, 0, 0, 4 << 20)) {
        gnomon_h2.session_del(session);
        return NULL;
    }
    return session;
}
