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
    if (type == H2_PRIORITY && scan->left == PRIORITY_BYTES) {
        scan->stream = stream;
        scan->parent_left = sizeof scan->parent;
    }
    if (!stream) {
        if (type == H2_PRIORITY) scan->fault = H2_PROTOCOL_ERROR;
    } else if (type <= H2_HEADERS && *ended == stream) {
        scan->late = stream;
        connection->control++;
    } else if (type == H2_RST_STREAM || (type <= H2_HEADERS && flags & H2_END_STREAM)) {
        *ended = stream;
    }
}

/* Look at what of a PRIORITY frame has come, of `size` bytes. */
static void scan_parent(struct frame_scan *scan, const uint8_t *data, size_t size) {
    for (; size && scan->parent_left; size--, scan->parent_left--)
        scan->parent = scan->parent << 8 | *data++;
    /* The highest bit says something else. */
    if (!scan->parent_left && (int32_t)(scan->parent & 0x7fffffff) == scan->stream)
        scan->circular = scan->stream;
}

void gnomon_frames_scan(struct connection *connection, const uint8_t *data, size_t size) {
    GNOMON_ASSERT_ON_LOOP(connection->loop);
    struct frame_scan *scan = &connection->scan;
    while (size > scan->left) {
        if (scan->parent_left) scan_parent(scan, data, scan->left);
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
    if (scan->parent_left) scan_parent(scan, data, size);
    scan->left -= size;
}

int gnomon_frames_answer(struct connection *connection) {
    GNOMON_ASSERT_ON_LOOP(connection->loop);
    struct frame_scan *scan = &connection->scan;
    int32_t late = scan->late, circular = scan->circular;
    scan->late = scan->circular = 0;
    /* No stream that was not opened yet may be reset. */
    if (circular > gnomon_h2.session_get_last_proc_stream_id(connection->session) ||
        (circular && circular % 2 == 0))
        scan->fault = H2_PROTOCOL_ERROR;
    if (scan->fault) return gnomon_h2.session_terminate_session(connection->session, scan->fault);
    int failed = 0;
    if (circular)
        failed = gnomon_h2.submit_rst_stream(connection->session, 0, circular, H2_PROTOCOL_ERROR);
    if (late && !failed)
        failed = gnomon_h2.submit_rst_stream(connection->session, 0, late, H2_STREAM_CLOSED);
    return failed;
}
