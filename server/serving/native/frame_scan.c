#include "frame_scan.h"

enum { PREFACE_BYTES = 24 };

void gnomon_frames_begin(struct connection *connection) {
    GNOMON_ASSERT_ON_LOOP(connection->loop);
    connection->scan.left = PREFACE_BYTES;
}

static void scan_head(struct connection *connection, const uint8_t *head) {
    struct frame_scan *scan = &connection->scan;
    uint8_t type = head[3], flags = head[4];
    int32_t stream = (head[5] & 0x7f) << 24 | head[6] << 16 | head[7] << 8 | head[8];
    int32_t *ended = &scan->ended[(stream >> 1) % ENDED_STREAMS];
    scan->left = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
    if (!stream) {
        if (type == H2_PRIORITY) scan->fault = H2_PROTOCOL_ERROR;
    } else if (type <= H2_HEADERS && *ended == stream) {
        scan->late = stream;
        connection->control++;
    } else if (type == H2_RST_STREAM || (type <= H2_HEADERS && flags & H2_END_STREAM)) {
        *ended = stream;
    }
}

void gnomon_frames_scan(struct connection *connection, const uint8_t *data, size_t size) {
    GNOMON_ASSERT_ON_LOOP(connection->loop);
    struct frame_scan *scan = &connection->scan;
    while (size > scan->left) {
        data += scan->left;
        size -= scan->left;
        scan->left = 0;
        size_t missing = FRAME_HEAD_BYTES - scan->head_size;
        if (size < missing) {
            memcpy(scan->head + scan->head_size, data, size);
            scan->head_size += size;
            return;
        }
        const uint8_t *head = data;
        if (scan->head_size) {
            memcpy(scan->head + scan->head_size, data, missing);
            scan->head_size = 0;
            head = scan->head;
        }
        scan_head(connection, head);
        data += missing;
        size -= missing;
    }
    scan->left -= size;
}

int gnomon_frames_answer(struct connection *connection) {
    GNOMON_ASSERT_ON_LOOP(connection->loop);
    struct frame_scan *scan = &connection->scan;
    if (scan->fault) return gnomon_h2.session_terminate_session(connection->session, scan->fault);
    if (!scan->late) return 0;
    int32_t stream = scan->late;
    scan->late = 0;
    return gnomon_h2.submit_rst_stream(connection->session, 0, stream, H2_STREAM_CLOSED);
}
