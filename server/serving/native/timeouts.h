/* What becomes of a connection as time goes by: limits, keepalive, and age. */
#ifndef GNOMON_TIMEOUTS_H
#define GNOMON_TIMEOUTS_H

#include "state.h"

/* On the loop: refuse calls whose deadline has passed, and, if a long tick has passed, close or
 * warn connections that have met one of their limits. 1 if a long tick has passed, else 0. */
int gnomon_timeouts_check(struct loop *loop);

#endif
