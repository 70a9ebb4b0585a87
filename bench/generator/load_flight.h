/* Requests on their way, and what became of them. On the loop's thread. */
#ifndef GNOMON_LOAD_FLIGHT_H
#define GNOMON_LOAD_FLIGHT_H

#include "load_state.h"

/* Put a request that was due at `due` on a link that is up; it is submitted by the caller. NULL
 * without memory. */
struct load_flight *gnomon_flight_new(struct load_link *link, uint64_t due);
/* Count what became of a request, and take it off its link. */
void gnomon_flight_end(struct load_flight *flight, enum load_outcome outcome);
/* The same for one whose answer has come whole: compare it. */
void gnomon_flight_answered(struct load_flight *flight);
/* Count a request that never was sent. */
void gnomon_flight_unsent(struct load *load, uint64_t due);
/* All that were submitted in this turn have been written to their sockets at `now`. */
void gnomon_flights_sent(struct load *load, uint64_t now);

#endif
