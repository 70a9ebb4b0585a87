#include "bidi_state.h"

#include "queue_lock.h"

#ifdef GNOMON_DEBUG
#define NEXT(state) (1u << (state))

/* For each state, those that may follow. */
static const unsigned REQUEST_NEXT[] = {
    [REQUEST_OPEN] = NEXT(REQUEST_ENDED),
    [REQUEST_ENDED] = NEXT(REQUEST_END_TOLD),
    [REQUEST_END_TOLD] = 0,
};
static const unsigned RESPONSE_NEXT[] = {
    [RESPONSE_UNSENT] = NEXT(RESPONSE_SENDING),
    [RESPONSE_SENDING] = NEXT(RESPONSE_RESTING),
    [RESPONSE_RESTING] = NEXT(RESPONSE_SENDING),
};
static const unsigned TURN_NEXT[] = {
    [TURN_UNSEEN] = NEXT(TURN_TAKEN),
    [TURN_TAKEN] = NEXT(TURN_RETURNED) | NEXT(TURN_LEFT),
    [TURN_RETURNED] = NEXT(TURN_IDLE) | NEXT(TURN_LEFT),
    [TURN_IDLE] = NEXT(TURN_TAKEN) | NEXT(TURN_LEFT),
    [TURN_LEFT] = NEXT(TURN_GONE),
    [TURN_GONE] = 0,
};
static const unsigned ENDING_NEXT[] = {
    [ENDING_OPEN] = NEXT(ENDING_CLAIMED),
    [ENDING_CLAIMED] = NEXT(ENDING_READY),
    [ENDING_READY] = 0,
};
#define ASSERT_FOLLOWS(table, before, after) GNOMON_ASSERT(table[before] & NEXT(after))
#else
#define ASSERT_FOLLOWS(table, before, after) ((void)0)
#endif

void gnomon_bidi_set_request(struct call *call, enum bidi_request request) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    ASSERT_FOLLOWS(REQUEST_NEXT, call->streaming->request, request);
    call->streaming->request = request;
}

void gnomon_bidi_set_response(struct call *call, enum bidi_response response) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    ASSERT_FOLLOWS(RESPONSE_NEXT, call->streaming->response, response);
    call->streaming->response = response;
}

void gnomon_bidi_set_turn(struct call *call, enum bidi_turn turn) {
    GNOMON_ASSERT_LOCKED(call->loop->queue);
    ASSERT_FOLLOWS(TURN_NEXT, call->streaming->turn, turn);
    call->streaming->turn = turn;
}

void gnomon_bidi_set_ending(struct call *call, enum bidi_ending ending) {
    GNOMON_ASSERT_LOCKED(call->loop->queue);
    ASSERT_FOLLOWS(ENDING_NEXT, call->streaming->ending, ending);
    call->streaming->ending = ending;
}

int gnomon_bidi_is_owned(const struct call *call) {
    enum bidi_turn turn = call->streaming->turn;
    GNOMON_ASSERT_LOCKED(call->loop->queue);
    return turn == TURN_TAKEN || turn == TURN_RETURNED || turn == TURN_IDLE;
}

int gnomon_bidi_claim(struct call *call) {
    queue_lock(call->loop->queue);
    int is_mine = call->streaming->ending == ENDING_OPEN;
    if (is_mine) gnomon_bidi_set_ending(call, ENDING_CLAIMED);
    queue_unlock(call->loop->queue);
    return is_mine;
}

int gnomon_bidi_is_claimed(struct call *call) {
    queue_lock(call->loop->queue);
    int is_claimed = call->streaming->ending != ENDING_OPEN;
    queue_unlock(call->loop->queue);
    return is_claimed;
}
