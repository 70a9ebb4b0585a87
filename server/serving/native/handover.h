/* The only way from other threads to a loop; handover.c states the rule that it must keep. */
#ifndef GNOMON_HANDOVER_H
#define GNOMON_HANDOVER_H

#include "state.h"

/* Before the loop runs: make its signal and watch it. 0, or -1 if there is no descriptor left. */
int gnomon_handover_open(struct loop *loop);

/* From any thread, with the queue's lock held; `gnomon_handover_signal` must follow, without the
 * lock. The loop then owns the arrival; a call in `done` is the loop's; a call among the news keeps
 * its owner, and is listed once until it is taken. */
void gnomon_handover_add_arrival(struct loop *loop, struct arrival *arrival);
void gnomon_handover_add_done(struct loop *loop, struct call *call);
void gnomon_handover_add_news(struct loop *loop, struct call *call);

/* From any thread, without the queue's lock: wake the loop. The loop must not be freed yet. */
void gnomon_handover_signal(struct loop *loop);

/* On the loop, without the queue's lock: clear the signal, then take all that was handed over. */
struct handed gnomon_handover_take(struct loop *loop);

#endif
