/* Answers that are due later, the earliest first, and the workers that they wait for. On the
 * loop's thread. */
#ifndef GNOMON_HONEST_QUEUE_H
#define GNOMON_HONEST_QUEUE_H

#include "honest_state.h"

/* Add an answer; 0, or -1 without memory. */
int gnomon_honest_push(struct honest *server, struct honest_due due);
/* Take the earliest; there must be one. */
struct honest_due gnomon_honest_pop(struct honest *server);
/* When a request that arrives now is to be answered; the next free worker takes it. */
uint64_t gnomon_honest_due_at(struct honest *server, uint64_t now);

#endif
