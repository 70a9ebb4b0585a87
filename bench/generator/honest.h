/* A server that answers by a known law: one loop, one thread. */
#ifndef GNOMON_HONEST_H
#define GNOMON_HONEST_H

#include "honest_state.h"

/* Make a server of a listening socket, which becomes the server's. The answers stay the caller's
 * and must outlive it. NULL without memory or descriptors. */
struct honest *gnomon_honest_new(int listener, const struct honest_law *law,
                                 const struct honest_answer *answers, size_t answer_count);
/* Serve in the calling thread until `gnomon_honest_stop`, then close all connections. Once. */
void gnomon_honest_run(struct honest *server);
/* From any thread, before it is freed. */
void gnomon_honest_stop(struct honest *server);
/* After the run, or without one. */
void gnomon_honest_free(struct honest *server);

#endif
