/* What Python's threads do to a call of many messages. */
#include "servicer.h"

#include "bidi_state.h"
#include "handover.h"

enum sent servicer_send(struct call *call, const uint8_t *message, size_t size) {
    struct streaming *own = call->streaming;
    enum sent result = SENT;
    const uint8_t head[PREFIX_BYTES] = {0, (uint8_t)(size >> 24), (uint8_t)(size >> 16),
                                        (uint8_t)(size >> 8), (uint8_t)size};
    bidi_lock(call);
    size_t whole = size + PREFIX_BYTES;
    if (own->is_claimed) {
        result = SENT_TO_NOBODY;
    } else if (own->unsent && own->unsent + whole > call->loop->limits.connection_bytes) {
        result = SENT_TOO_MUCH;
    } else if (buffer_reserve(&own->outbox, whole)) {
        result = SENT_NO_MEMORY;
    } else {
        buffer_append(&own->outbox, head, sizeof head);
        buffer_append(&own->outbox, message, size);
        own->unsent += whole;
        handover_add_news(call->loop, call);
    }
    bidi_unlock(call);
    if (result == SENT) handover_signal(call->loop);
    return result;
}

int servicer_is_over(struct call *call) {
    return bidi_is_claimed(call);
}

/* With the lock held. */
static void drop_turn(struct call *call) {
    if (!call->streaming->has_turn) return;
    call->streaming->has_turn = 0;
    call->streaming->gives_turn = 1;
    call->loop->queue->running--;
}

void servicer_give_turn(struct call *call) {
    bidi_lock(call);
    drop_turn(call);
    handover_add_news(call->loop, call);
    bidi_unlock(call);
    handover_signal(call->loop);
}

int servicer_claim(struct call *call) {
    return bidi_claim(call);
}

void servicer_leave(struct call *call, int is_finished) {
    struct streaming *own = call->streaming;
    struct loop *loop = call->loop;
    bidi_lock(call);
    if (is_finished) own->is_finished = 1;
    bidi_leave_queue(call);
    drop_turn(call);
    own->has_owner = 0;
    handover_add_news(call->loop, call);
    bidi_unlock(call);
    handover_signal(loop);
}
