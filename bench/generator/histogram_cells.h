/* Counts of latencies in cells whose width grows with the value; `histogram.py` is its twin.
 *
 * Values below 2^HISTOGRAM_BITS nanoseconds have a cell each. Above, each power of two is cut into
 * 2^HISTOGRAM_BITS equal cells, so that a cell's middle is within 1/2^(HISTOGRAM_BITS + 1) of every
 * value in it. Counts are added, and so histograms merge exactly. */
#ifndef GNOMON_HISTOGRAM_CELLS_H
#define GNOMON_HISTOGRAM_CELLS_H

#include <stdint.h>

enum {
    HISTOGRAM_BITS = 7,
    /* Up to 2^41 ns: 36 minutes. What is longer counts in the last cell. */
    HISTOGRAM_POWERS = 41,
    HISTOGRAM_CELLS = (HISTOGRAM_POWERS - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS,
};

static inline uint32_t histogram_cell(uint64_t nanoseconds) {
    if (nanoseconds >> HISTOGRAM_POWERS) return HISTOGRAM_CELLS - 1;
    if (nanoseconds >> HISTOGRAM_BITS == 0) return (uint32_t)nanoseconds;
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(nanoseconds) - HISTOGRAM_BITS;
    return (shift << HISTOGRAM_BITS) + (uint32_t)(nanoseconds >> shift);
}

#endif
