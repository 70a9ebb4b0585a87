#include "bidi_state.h"

#include "call_queue.h"

void bidi_lock(struct call *call) {
    pthread_mutex_lock(&call->loop->queue->lock);
}

void bidi_unlock(struct call *call) {
    pthread_mutex_unlock(&call->loop->queue->lock);
}

void bidi_leave_queue(struct call *call) {
    if (call->state != CALL_WAITING) return;
    queue_remove(call->loop->queue, call);
    call->state = CALL_RECEIVING;
}

int bidi_claim(struct call *call) {
    bidi_lock(call);
    int is_mine = !call->streaming->is_claimed;
    call->streaming->is_claimed = 1;
    bidi_unlock(call);
    return is_mine;
}

int bidi_is_claimed(struct call *call) {
    bidi_lock(call);
    int is_claimed = call->streaming->is_claimed;
    bidi_unlock(call);
    return is_claimed;
}
