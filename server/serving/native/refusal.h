/* What is said to whoever asks for too much. */
#ifndef GNOMON_REFUSAL_H
#define GNOMON_REFUSAL_H

#include "exchange.h"

/* Fill a refusal, from any thread. `model` is percent-encoded; the texts are those of
 * `throttling.Throttle`. */
void gnomon_refusal_write(struct refusal *refusal, const char *model, const char *limit,
                          double value, double wait_seconds);

#endif
