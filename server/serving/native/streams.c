/* The streams of a connection: headers, gRPC's framing, answers and how they end. */
#include "transport.h"

#include <stdio.h>

#define HEADER(name, value)                                                                        \
    {(uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1, H2_NO_COPY}

static const char NO_METHOD[] = "Method not found!";
static const char INFER[] = "/inference.GRPCInferenceService/ModelInfer";

static const h2_header ANSWER[] = {HEADER(":status", "200"),
                                   HEADER("content-type", "application/grpc")};
static const h2_header WELL[] = {HEADER("grpc-status", "0")};

static int is_text(const uint8_t *text, size_t size, const char *wanted) {
    return strlen(wanted) == size && !memcmp(text, wanted, size);
}

/* gRPC's timeout: at most 8 digits and a unit. 0 where it is none. */
static uint64_t read_timeout(const uint8_t *text, size_t size) {
    static const char units[] = "HMSmun";
    static const uint64_t lengths[] = {3600000000000, 60000000000, 1000000000, 1000000, 1000, 1};
    uint64_t number = 0;
    if (size < 2 || size > 9) return 0;
    for (size_t index = 0; index < size - 1; index++) {
        if (text[index] < '0' || text[index] > '9') return 0;
        number = number * 10 + (text[index] - '0');
    }
    const char *unit = strchr(units, text[size - 1]);
    if (!unit || !*unit) return 0;
    uint64_t length = number * lengths[unit - units];
    return length ? length : 1;
}

static int on_begin_headers(h2_session *session, const h2_frame *frame, void *user) {
    struct connection *connection = user;
    int32_t stream = frame->head.stream_id;
    if (h2.session_get_stream_user_data(session, stream)) return 0;
    struct call *call = call_new(connection, stream);
    if (!call) return H2_CONNECTION_FAILED;
    connection->header_since = connection->loop->now;
    connection->header_bytes = 0;
    return h2.session_set_stream_user_data(session, stream, call) ? H2_CONNECTION_FAILED : 0;
}

static int is_grpc(const uint8_t *type, size_t size) {
    static const char grpc[] = "application/grpc";
    size_t length = sizeof grpc - 1;
    return size >= length && !memcmp(type, grpc, length) &&
           (size == length || type[length] == '+' || type[length] == ';');
}

/* Whether a path is among some that lie one behind the other, each with its 0. */
static int is_listed(const char *paths, const uint8_t *value, size_t size) {
    for (const char *one = paths; *one; one += strlen(one) + 1)
        if (is_text(value, size, one)) return 1;
    return 0;
}

static void read_path(struct call *call, const uint8_t *value, size_t size) {
    const struct loop *loop = call->loop;
    call->path_size = size <= PATH_LIMIT ? size : 0;
    memcpy(call->path, value, call->path_size);
    call->is_infer = is_text(value, size, INFER);
    call->is_streaming = !call->is_infer && is_listed(loop->streaming, value, size);
    call->is_known = call->is_infer || call->is_streaming ||
                     (call->path_size && (!loop->unary || is_listed(loop->unary, value, size)));
}

static int on_header(h2_session *session, const h2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user) {
    struct connection *connection = user;
    struct call *call = h2.session_get_stream_user_data(session, frame->head.stream_id);
    (void)flags;
    if (!call) return 0;
    call->header_bytes += name_size + value_size + 32;
    if (call->header_bytes > 4 * connection->loop->limits.header_bytes) return H2_STREAM_FAILED;
    /* Trailers say nothing that is read, and Python may be at what the headers said. */
    if (call->streaming || call->body.size) return 0;
    switch (name_size) {
    case 5:
        if (!memcmp(name, ":path", 5)) read_path(call, value, value_size);
        break;
    case 7:
        if (!memcmp(name, ":method", 7) && !is_text(value, value_size, "POST"))
            call->http_status = 405;
        break;
    case 12:
        if (!memcmp(name, "content-type", 12) && !is_grpc(value, value_size))
            call->http_status = 415;
        else if (!memcmp(name, "grpc-timeout", 12)) {
            uint64_t timeout = read_timeout(value, value_size);
            if (timeout) call->deadline = connection->loop->now + timeout;
        }
        break;
    case 13:
        if (!memcmp(name, "grpc-encoding", 13))
            call->encoding = is_text(value, value_size, "identity")  ? ENCODING_IDENTITY
                             : is_text(value, value_size, "gzip")    ? ENCODING_GZIP
                             : is_text(value, value_size, "deflate") ? ENCODING_DEFLATE
                                                                     : ENCODING_OTHER;
        else if (!memcmp(name, "authorization", 13)) {
            struct loop *loop = connection->loop;
            if (value_size > loop->limits.header_bytes || loop->held > loop->limits.total_bytes)
                return H2_STREAM_FAILED;
            call->authorization.size = 0;
            call_hold(call, value_size);
            if (buffer_append(&call->authorization, value, value_size)) return H2_CONNECTION_FAILED;
        }
        break;
    }
    return 0;
}

static ssize_t read_response(h2_session *session, int32_t stream, uint8_t *out, size_t room,
                             uint32_t *flags, h2_source *source, void *user) {
    struct call *call = source->pointer;
    (void)user;
    size_t left = call->response.size - call->sent;
    size_t size = left < room ? left : room;
    memcpy(out, call->response.data + call->sent, size);
    call->sent += size;
    if (size == left) {
        *flags |= H2_DATA_EOF | H2_DATA_NO_END_STREAM;
        if (h2.submit_trailer(session, stream, WELL, 1)) return H2_STREAM_FAILED;
    }
    return (ssize_t)size;
}

void submit_response(struct call *call, const h2_provider *provider) {
    struct connection *connection = call->connection;
    call->loop->counts.answered++;
    if (h2.submit_response(connection->session, call->stream, ANSWER, 2, provider))
        connection->is_broken = 1;
}

static void answer(struct call *call) {
    h2_provider provider = {{.pointer = call}, read_response};
    call->state = CALL_ANSWERING;
    call_hold(call, call->response.size);
    submit_response(call, &provider);
}

/* Put the call's trailers at `headers`; return how many. */
static size_t list_trailers(const struct call *call, h2_header *headers) {
    for (int index = 0; index < call->trailer_count && index < TRAILERS_LIMIT; index++) {
        const struct trailer *one = &call->trailers[index];
        headers[index] = (h2_header){(uint8_t *)one->name, (uint8_t *)one->value, one->name_size,
                                     one->value_size, 0};
    }
    return (size_t)call->trailer_count;
}

int submit_end(struct call *call) {
    h2_header headers[TRAILERS_LIMIT];
    size_t count = list_trailers(call, headers);
    return h2.submit_trailer(call->connection->session, call->stream, headers, count);
}

/* End the call with its trailers alone, and a request that is still arriving with it. */
void submit_trailers(struct call *call, int is_complete) {
    struct connection *connection = call->connection;
    h2_header headers[2 + TRAILERS_LIMIT];
    char status[4];
    memcpy(headers, ANSWER, sizeof ANSWER);
    size_t count = 2;
    if (call->http_status) {
        snprintf(status, sizeof status, "%d", call->http_status);
        headers[0] = (h2_header){(uint8_t *)":status", (uint8_t *)status, 7, 3, 0};
    }
    count += list_trailers(call, headers + count);
    call->state = CALL_ANSWERING;
    connection->loop->counts.refused++;
    if (h2.submit_response(connection->session, call->stream, headers, count, NULL))
        connection->is_broken = 1;
    call->is_cut = !is_complete;
}

static void refuse(struct call *call, enum status status, const char *message, int is_complete) {
    char number[4];
    int size = snprintf(number, sizeof number, "%d", status);
    call_add_trailer(call, "grpc-status", 11, number, (size_t)size);
    call_add_trailer(call, "grpc-message", 12, message, strlen(message));
    if (status == STATUS_UNIMPLEMENTED)
        call_add_trailer(call, "grpc-accept-encoding", 20, "identity,deflate,gzip", 21);
    submit_trailers(call, is_complete);
}

void call_refuse(struct call *call, enum status status, const char *message) {
    refuse(call, status, message, 1);
}

void call_submit(struct call *call) {
    if (call->trailer_count) submit_trailers(call, 1);
    else answer(call);
}

const char *message_fault(const struct call *call, const uint8_t *prefix, enum status *status) {
    *status = STATUS_INVALID_ARGUMENT;
    if (prefix[0] > 1) return "the message's first byte must be 0 or 1";
    if (prefix[0] == 0) return NULL;
    *status = STATUS_UNIMPLEMENTED;
    if (call->encoding == ENCODING_OTHER) return "the message's compression is not known here";
    *status = STATUS_INTERNAL;
    if (call->encoding == ENCODING_IDENTITY)
        return "the message is compressed, but no encoding is named";
    return NULL;
}

static int on_data(h2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t size, void *user) {
    struct connection *connection = user;
    struct limits *limits = &connection->loop->limits;
    struct call *call = h2.session_get_stream_user_data(session, stream);
    (void)flags;
    connection->heard = connection->loop->now;
    if (call && call->streaming) {
        if (h2.session_consume_connection(session, size)) return H2_CONNECTION_FAILED;
        streaming_data(call, data, size);
        return 0;
    }
    if (h2.session_consume(session, stream, size)) return H2_CONNECTION_FAILED;
    if (!call || call->state != CALL_RECEIVING) return 0;
    if (buffer_append(&call->body, data, size)) return H2_CONNECTION_FAILED;
    call_hold(call, size);
    if (!call->expected && call->body.size >= PREFIX_BYTES) {
        const uint8_t *head = call->body.data;
        call->expected = PREFIX_BYTES + ((size_t)head[1] << 24 | (size_t)head[2] << 16 |
                                         (size_t)head[3] << 8 | (size_t)head[4]);
    }
    if (call->expected > PREFIX_BYTES + limits->message_bytes) {
        char message[96];
        snprintf(message, sizeof message, "Received message larger than max (%zu vs. %zu)",
                 call->expected - PREFIX_BYTES, limits->message_bytes);
        refuse(call, STATUS_RESOURCE_EXHAUSTED, message, 0);
    } else if (call->expected && call->body.size > call->expected) {
        refuse(call, STATUS_INVALID_ARGUMENT, "a call of this method has one message", 0);
    } else if (connection->held > limits->connection_bytes ||
               connection->loop->held > limits->total_bytes) {
        refuse(call, STATUS_RESOURCE_EXHAUSTED, "too many bytes are under way; try later", 0);
    }
    if (call->state != CALL_RECEIVING) buffer_clear(&call->body, 0);
    return 0;
}

/* Answer or refuse a prediction without Python; 0 where that cannot be. */
static int end_here(struct call *call) {
    struct loop *loop = call->loop;
    struct exchange exchange;
    exchange.message =
        (struct slice){call->body.data + PREFIX_BYTES, call->body.size - PREFIX_BYTES};
    exchange.authorization = (struct slice){call->authorization.data, call->authorization.size};
    exchange.certificate = (struct slice){call->connection->peer.data, call->connection->peer.size};
    exchange.out = &call->response;
    exchange.position = POSITION_NONE;
    enum verdict verdict = loop->answer(loop->context, &exchange);
    call->position = exchange.position;
    if (verdict == VERDICT_ANSWERED) {
        answer(call);
    } else if (verdict == VERDICT_REFUSED) {
        const char *details = exchange.refusal.details;
        call_add_trailer(call, "gnomon-code", 11, "overloaded", 10);
        call_add_trailer(call, "gnomon-details-bin", 18, details, strlen(details));
        call_refuse(call, STATUS_RESOURCE_EXHAUSTED, exchange.refusal.message);
    }
    return verdict != VERDICT_DECLINED;
}

/* The request is complete: answer it here, let Python answer it, or refuse it. */
static void on_request(struct call *call) {
    struct loop *loop = call->loop;
    enum status status;
    const char *fault;
    loop->counts.declined++;
    if (call->http_status) {
        submit_trailers(call, 1);
    } else if (call->header_bytes > loop->limits.header_bytes) {
        call_refuse(call, STATUS_RESOURCE_EXHAUSTED, "the request's metadata are too large");
    } else if (!call->is_known) {
        call_refuse(call, STATUS_UNIMPLEMENTED, NO_METHOD);
    } else if (call->body.size < PREFIX_BYTES || call->body.size != call->expected) {
        call_refuse(call, STATUS_INVALID_ARGUMENT,
                    "the request ends within a message; it must be one whole message");
    } else if ((fault = message_fault(call, call->body.data, &status))) {
        call_refuse(call, status, fault);
    } else if (call->deadline && call->deadline <= loop->now) {
        call_refuse(call, STATUS_DEADLINE_EXCEEDED, "Deadline Exceeded");
    } else if (call->is_infer && call->body.data[0] == 0 && end_here(call)) {
        loop->counts.declined--;
    } else {
        queue_put(call);
    }
}

/* The headers of a streaming call are whole; it does not wait for its request's end. */
static void on_streaming(struct call *call, int has_ended) {
    call->loop->counts.declined++;
    call->connection->heard = call->loop->now;
    call->connection->completed++;
    if (call->http_status) {
        submit_trailers(call, has_ended);
    } else if (call->header_bytes > call->loop->limits.header_bytes) {
        refuse(call, STATUS_RESOURCE_EXHAUSTED, "the request's metadata are too large", has_ended);
    } else {
        streaming_open(call, has_ended);
    }
}

static int on_frame(h2_session *session, const h2_frame *frame, void *user) {
    struct connection *connection = user;
    uint8_t type = frame->head.type;
    if (type == H2_HEADERS) connection->header_since = 0;
    if (type == H2_PING && !(frame->head.flags & H2_ACK)) connection->pings++;
    if (type != H2_DATA && type != H2_HEADERS) {
        /* Windows are opened as often as data come; all else costs work that no one asked for. */
        if (type != H2_WINDOW_UPDATE) connection->control++;
        return 0;
    }
    connection->pings = 0;
    int has_ended = frame->head.flags & H2_END_STREAM;
    if (!has_ended && type == H2_DATA) return 0;
    struct call *call = h2.session_get_stream_user_data(session, frame->head.stream_id);
    if (call && call->streaming) {
        if (has_ended) streaming_no_more(call);
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
        refuse(call, STATUS_UNIMPLEMENTED, NO_METHOD, 0);
        return 0;
    }
    if (connection->control) connection->control--;
    on_request(call);
    return 0;
}

/* What is left of a request that was refused half-way is not wanted, once the refusal is out. */
static int on_sent(h2_session *session, const h2_frame *frame, void *user) {
    struct connection *connection = user;
    /* Clients measure with pings how fast data come. */
    if (frame->head.type == H2_DATA) connection->pings = 0;
    if (frame->head.type != H2_HEADERS || !(frame->head.flags & H2_END_STREAM)) return 0;
    struct call *call = h2.session_get_stream_user_data(session, frame->head.stream_id);
    if (!call || !call->is_cut) return 0;
    call->is_cut = 0;
    return h2.submit_rst_stream(session, 0, frame->head.stream_id, H2_NO_ERROR);
}

static int on_close(h2_session *session, int32_t stream, uint32_t code, void *user) {
    struct connection *connection = user;
    struct call *call = h2.session_get_stream_user_data(session, stream);
    (void)code;
    if (!call) return 0;
    h2.session_set_stream_user_data(session, stream, NULL);
    /* A header that was cut short has ended as well. */
    connection->header_since = 0;
    call_end(call);
    return 0;
}

int streams_prepare(struct loop *loop) {
    if (h2.session_callbacks_new(&loop->callbacks) || h2.option_new(&loop->option)) return -1;
    h2.session_callbacks_set_on_begin_headers_callback(loop->callbacks, on_begin_headers);
    h2.session_callbacks_set_on_header_callback(loop->callbacks, on_header);
    h2.session_callbacks_set_on_frame_recv_callback(loop->callbacks, on_frame);
    h2.session_callbacks_set_on_data_chunk_recv_callback(loop->callbacks, on_data);
    h2.session_callbacks_set_on_frame_send_callback(loop->callbacks, on_sent);
    h2.session_callbacks_set_on_stream_close_callback(loop->callbacks, on_close);
    h2.option_set_no_closed_streams(loop->option, 1);
    h2.option_set_no_auto_window_update(loop->option, 1);
    h2.option_set_max_outbound_ack(loop->option, 200);
    return 0;
}

h2_session *streams_open(struct connection *connection) {
    struct loop *loop = connection->loop;
    h2_session *session = NULL;
    const h2_setting settings[] = {
        {H2_MAX_CONCURRENT_STREAMS, loop->limits.concurrent_streams},
        {H2_INITIAL_WINDOW_SIZE, 1 << 20},
        {H2_MAX_HEADER_LIST_SIZE, (uint32_t)loop->limits.header_bytes},
        {H2_NO_RFC7540_PRIORITIES, 1},
    };
    if (h2.session_server_new2(&session, loop->callbacks, connection, loop->option)) return NULL;
    if (h2.submit_settings(session, 0, settings, 4) ||
        h2.session_set_local_window_size(session, 0, 0, 4 << 20)) {
        h2.session_del(session);
        return NULL;
    }
    return session;
}
