#include "bidi_inbox.h"

#include "call.h"
#include "framing.h"

#include <stdio.h>

void gnomon_inbox_forget(struct call *call) {
    struct streaming *own = call->streaming;
    gnomon_call_let_go(call, own->inbox.size - own->taken);
    buffer_clear(&own->inbox, 0);
    own->taken = 0;
}

void gnomon_inbox_open_window(struct call *call) {
    struct streaming *own = call->streaming;
    if (!own->unopened || own->request != REQUEST_OPEN) return;
    if (gnomon_h2.session_consume_stream(call->connection->session, call->stream, own->unopened))
        call->connection->is_broken = 1;
    own->unopened = 0;
}

/* Move a message of `size` bytes, its prefix among them; 1, or 0 if there is no memory. */
static int move(struct call *call, size_t size) {
    struct streaming *own = call->streaming;
    size_t left = own->inbox.size - own->taken;
    if (left == size && !own->taken) {
        struct buffer empty = call->body;
        call->body = own->inbox;
        own->inbox = empty;
        return 1;
    }
    if (buffer_append(&call->body, own->inbox.data + own->taken, size)) {
        call->connection->is_broken = 1;
        return 0;
    }
    own->taken += size;
    if (own->taken > own->inbox.size / 2) {
        left -= size;
        memmove(own->inbox.data, own->inbox.data + own->taken, left);
        own->inbox.size = left;
        own->taken = 0;
        if (!left) buffer_clear(&own->inbox, KEPT_BYTES);
    }
    return 1;
}

int gnomon_inbox_take(struct call *call, enum status *status, char fault[INBOX_FAULT_BYTES]) {
    struct streaming *own = call->streaming;
    size_t limit = call->loop->limits.message_bytes;
    size_t left = own->inbox.size - own->taken;
    const uint8_t *head = own->inbox.data + own->taken;
    GNOMON_ASSERT_ON_LOOP(call->loop);
    if (left < PREFIX_BYTES) return 0;
    size_t size = gnomon_message_size(head);
    if (size > limit) {
        *status = STATUS_RESOURCE_EXHAUSTED;
        snprintf(fault, INBOX_FAULT_BYTES, "Received message larger than max (%zu vs. %zu)", size,
                 limit);
        return -1;
    }
    const char *text = gnomon_message_fault(call, head, status);
    if (text) {
        snprintf(fault, INBOX_FAULT_BYTES, "%s", text);
        return -1;
    }
    size += PREFIX_BYTES;
    return left < size ? 0 : move(call, size);
}
