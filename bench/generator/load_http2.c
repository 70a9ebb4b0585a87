#include "load_http2.h"

#include "load_flight.h"

static int number(const uint8_t *text, size_t size) {
    int value = 0;
    if (!size || size > 3) return LOAD_STATUSES - 1;
    for (size_t index = 0; index < size; index++) {
        if (text[index] < '0' || text[index] > '9') return LOAD_STATUSES - 1;
        value = value * 10 + (text[index] - '0');
    }
    return value;
}

static int is_name(const uint8_t *name, size_t size, const char *text) {
    return size == strlen(text) && !memcmp(name, text, size);
}

static int on_header(h2_session *session, const h2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user) {
    struct load_flight *flight =
        gnomon_h2_table.session_get_stream_user_data(session, frame->head.stream_id);
    (void)flags, (void)user;
    if (!flight) return 0;
    if (is_name(name, name_size, ":status")) {
        flight->status = number(value, value_size);
    } else if (is_name(name, name_size, "grpc-status")) {
        flight->status = number(value, value_size);
        flight->is_grpc_status = 1;
    }
    return 0;
}

static int on_data(h2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t size, void *user) {
    struct load_flight *flight = gnomon_h2_table.session_get_stream_user_data(session, stream);
    (void)flags, (void)user;
    if (!flight) return 0;
    if (flight->body.size + size > LOAD_BODY_LIMIT) return H2_CONNECTION_FAILED;
    return buffer_append(&flight->body, data, size) ? H2_CONNECTION_FAILED : 0;
}

static int on_frame(h2_session *session, const h2_frame *frame, void *user) {
    struct load_link *link = user;
    (void)session;
    if (frame->head.type == H2_GOAWAY_FRAME && link->state == LINK_UP) {
        link->state = LINK_LEAVING;
        link->load->links_up--;
    }
    return 0;
}

static int on_close(h2_session *session, int32_t stream, uint32_t code, void *user) {
    struct load_flight *flight = gnomon_h2_table.session_get_stream_user_data(session, stream);
    (void)user;
    if (!flight) return 0;
    gnomon_h2_table.session_set_stream_user_data(session, stream, NULL);
    if (code == H2_NO_ERROR || flight->is_grpc_status) gnomon_flight_answered(flight);
    else gnomon_flight_end(flight, LOAD_LOST);
    return 0;
}

int gnomon_load_http2_prepare(struct load *load) {
    if (gnomon_h2_table.session_callbacks_new(&load->callbacks)) return -1;
    if (gnomon_h2_table.option_new(&load->option)) return -1;
    gnomon_h2_table.option_set_no_closed_streams(load->option, 1);
    gnomon_h2_table.session_callbacks_set_on_header_callback(load->callbacks, on_header);
    gnomon_h2_table.session_callbacks_set_on_data_chunk_recv_callback(load->callbacks, on_data);
    gnomon_h2_table.session_callbacks_set_on_frame_recv_callback(load->callbacks, on_frame);
    gnomon_h2_table.session_callbacks_set_on_stream_close_callback(load->callbacks, on_close);
    return 0;
}

int gnomon_load_http2_open(struct load_link *link) {
    static const h2_setting settings[] = {{H2_ENABLE_PUSH, 0}, {H2_INITIAL_WINDOW_SIZE, 16 << 20}};
    struct load *load = link->load;
    if (gnomon_h2_table.session_client_new2(&link->session, load->callbacks, link, load->option))
        return -1;
    if (gnomon_h2_table.submit_settings(link->session, 0, settings, 2)) return -1;
    gnomon_h2_table.session_set_local_window_size(link->session, 0, 0, 256 << 20);
    return 0;
}

static ssize_t read_request(h2_session *session, int32_t stream, uint8_t *out, size_t room,
                            uint32_t *flags, h2_source *source, void *user) {
    struct load_flight *flight = source->pointer;
    struct slice request = flight->link->load->rows[flight->row].request;
    size_t size = request.size - flight->written;
    (void)session, (void)stream, (void)user;
    if (size > room) size = room;
    memcpy(out, request.data + flight->written, size);
    flight->written += size;
    if (flight->written == request.size) *flags = H2_DATA_EOF;
    return (ssize_t)size;
}

int gnomon_load_http2_submit(struct load_flight *flight) {
    struct load_link *link = flight->link;
    const struct load_settings *settings = &link->load->settings;
    h2_provider provider = {{.pointer = flight}, read_request};
    flight->stream = gnomon_h2_table.submit_request(link->session, NULL, settings->headers,
                                                    settings->header_count, &provider, flight);
    return flight->stream < 0 ? -1 : 0;
}

int gnomon_load_http2_read(struct load_link *link, const uint8_t *data, size_t size) {
    return gnomon_h2_table.session_mem_recv(link->session, data, size) < 0 ? -1 : 0;
}

int gnomon_load_http2_write(struct load_link *link) {
    const uint8_t *data;
    ssize_t size;
    while ((size = gnomon_h2_table.session_mem_send(link->session, &data)) > 0)
        if (buffer_append(&link->out, data, (size_t)size)) return -1;
    return size < 0 || (!gnomon_h2_table.session_want_read(link->session) &&
                        !gnomon_h2_table.session_want_write(link->session))
               ? -1
               : 0;
}

size_t gnomon_load_http2_room(const struct load_link *link) {
    return gnomon_h2_table.session_get_remote_settings(link->session, H2_MAX_CONCURRENT_STREAMS);
}
