/* A load generator: one loop, one thread, requests as they are due. */
#ifndef GNOMON_LOAD_H
#define GNOMON_LOAD_H

#include "load_state.h"

/* Make a generator; it is about a megabyte. The settings' dues and the rows' bytes stay the
 * caller's and must outlive it; the rows are copied. NULL without memory or descriptors. */
struct load *gnomon_load_new(const struct load_settings *settings, const struct load_row *rows,
                             size_t row_count);
/* Connect, send and count in the calling thread, until all is answered. Once. */
void gnomon_load_run(struct load *load);
/* From any thread, before it is freed: end soon, and keep what has been counted. */
void gnomon_load_stop(struct load *load);
/* After the run, or without one. */
void gnomon_load_free(struct load *load);

#endif
