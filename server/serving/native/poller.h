/* What a loop's epoll watches. */
#ifndef GNOMON_POLLER_H
#define GNOMON_POLLER_H

#include <sys/epoll.h>

#include "state.h"

/* On the loop. `operation` is epoll's; `what` tells the event to the loop: a connection, or the
 * address of one of the loop's own descriptors. */
static inline void poller_watch(struct loop *loop, int operation, int descriptor, uint32_t events,
                                void *what) {
    struct epoll_event event = {.events = events, .data.ptr = what};
    epoll_ctl(loop->epoll, operation, descriptor, &event);
}

#endif
