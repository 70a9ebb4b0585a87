/* When an honest server answers: a law of service times, workers, and stalls. */
#ifndef GNOMON_HONEST_LAW_H
#define GNOMON_HONEST_LAW_H

#include <stdint.h>

enum honest_kind {
    HONEST_CONSTANT = 0,
    HONEST_EXPONENTIAL = 1,
    HONEST_LOGNORMAL = 2,
};

struct honest_law {
    int kind;         /* an honest_kind */
    double scale;     /* ns: the constant, the mean of exponential, the median of lognormal */
    double sigma;     /* of the logarithm; lognormal alone */
    uint64_t period;  /* ns; at the end of each the server stalls */
    uint64_t stall;   /* ns, less than the period */
    uint64_t workers; /* requests worked on at the same time; 0: all */
    uint64_t random;  /* state of the generator of random numbers, not 0 */
};

/* Nanoseconds without stalls among the first `elapsed`. */
uint64_t gnomon_honest_working(const struct honest_law *law, uint64_t elapsed);
/* The inverse: when so much work is done; if a stall follows it at once, after the stall. */
uint64_t gnomon_honest_elapsed(const struct honest_law *law, uint64_t working);
/* The next service time in ns. From one thread at a time. */
uint64_t gnomon_honest_service(struct honest_law *law);

#endif
