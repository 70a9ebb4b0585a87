#include "bidi_state.h"

#include "call_queue.h"

void gnomon_bidi_lock(struct call *call) {
    pthread_mutex_lock(&call->loop->queue->lock);
}

void gnomon_bidi_unlock(struct call *call) {
    pthread_mutex_unlock(&call->loop->queue->lock);
}

void gnomon_bidi_leave_queue(struct call *call) {
    if (call->state != CALL_WAITING) return;
    gnomon_queue_remove(call->loop->queue, call);
    call->state = CALL_RECEIVING;
}

int gnomon_bidi_claim(struct call *call) {
    gnomon_bidi_lock(call);
    int is_mine = !call->streaming->is_claimed;
    call->streaming->is_claimed = 1;
    gnomon_bidi_unlock(call);
    return is_mine;
}

int gnomon_bidi_is_claimed(struct call *call) {
    gnomon_bidi_lock(call);
    int is_claimed = call->streaming->is_claimed;
    gnomon_bidi_unlock(call);
    return is_claimed;
}
