/* The clock by which the loops measure time. */
#ifndef GNOMON_CLOCK_H
#define GNOMON_CLOCK_H

#include <stdint.h>

/* From any thread: nanoseconds of the monotonic clock. */
uint64_t gnomon_monotonic_nanoseconds(void);

#endif
