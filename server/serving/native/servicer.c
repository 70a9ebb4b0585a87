/* What Python's threads do to a call of many messages. */
#include "servicer.h"

#include "bidi_state.h"
#include "call_queue.h"
#include "handover.h"
#include "queue_lock.h"

enum sent gnomon_servicer_send(struct call *call, const uint8_t *message, size_t size) {
    struct streaming *own = call->streaming;
    enum sent result = SENT;
    const uint8_t head[PREFIX_BYTES] = {0, (uint8_t)(size >> 24), (uint8_t)(size >> 16),
                                        (uint8_t)(size >> 8), (uint8_t)size};
    queue_lock(call->loop->queue);
    size_t whole = size + PREFIX_BYTES;
    if (own->ending != ENDING_OPEN) {
        result = SENT_TO_NOBODY;
    } else if (own->unsent && own->unsent + whole > call->loop->limits.connection_bytes) {
        result = SENT_TOO_MUCH;
    } else if (buffer_reserve(&own->outbox, whole)) {
        result = SENT_NO_MEMORY;
    } else {
        buffer_append(&own->outbox, head, sizeof head);
        buffer_append(&own->outbox, message, size);
        own->unsent += whole;
        gnomon_handover_add_news(call->loop, call);
    }
    queue_unlock(call->loop->queue);
    if (result == SENT) gnomon_handover_signal(call->loop);
    return result;
}

int gnomon_servicer_is_over(struct call *call) {
    return gnomon_bidi_is_claimed(call);
}

/* With the lock held. */
static void drop_turn(struct call *call) {
    if (call->streaming->turn != TURN_TAKEN) return;
    gnomon_bidi_set_turn(call, TURN_RETURNED);
    call->loop->queue->running--;
}

void gnomon_servicer_give_turn(struct call *call) {
    queue_lock(call->loop->queue);
    drop_turn(call);
    gnomon_handover_add_news(call->loop, call);
    queue_unlock(call->loop->queue);
    gnomon_handover_signal(call->loop);
}

int gnomon_servicer_claim(struct call *call) {
    return gnomon_bidi_claim(call);
}

void gnomon_servicer_leave(struct call *call, int is_finished) {
    struct loop *loop = call->loop;
    queue_lock(call->loop->queue);
    if (is_finished) gnomon_bidi_set_ending(call, ENDING_READY);
    gnomon_queue_withdraw(call);
    drop_turn(call);
    gnomon_bidi_set_turn(call, TURN_LEFT);
    gnomon_handover_add_news(call->loop, call);
    queue_unlock(call->loop->queue);
    gnomon_handover_signal(loop);
}
