/* How connections come: one loop of a ring listens, and hands them to the loop with the fewest. */
#ifndef GNOMON_ACCEPT_H
#define GNOMON_ACCEPT_H

#include "state.h"

/* Before either runs: put a loop into another's ring. */
void gnomon_loop_join(struct loop *loop, struct loop *other);
/* On the loop that listens, or before it runs; nothing for a loop without a listener. */
void gnomon_listen_again(struct loop *loop);
/* On the loop: take what has connected already, and close the listener. */
void gnomon_stop_listening(struct loop *loop);
/* On the loop that listens: take all that have connected, and give each to the loop with the
 * fewest; close those that are too many. */
void gnomon_accept_all(struct loop *loop);
/* On the loop: serve what was handed over; frees the list. */
void gnomon_open_arrivals(struct loop *loop, struct arrival *first);
/* From whoever frees the loop: close what was handed over; frees the list. */
void gnomon_drop_arrivals(struct arrival *first);

#endif
