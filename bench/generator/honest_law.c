#include "honest_law.h"

#include <math.h>

uint64_t gnomon_honest_working(const struct honest_law *law, uint64_t elapsed) {
    if (!law->stall) return elapsed;
    uint64_t busy = law->period - law->stall, within = elapsed % law->period;
    return elapsed / law->period * busy + (within < busy ? within : busy);
}

uint64_t gnomon_honest_elapsed(const struct honest_law *law, uint64_t working) {
    if (!law->stall) return working;
    uint64_t busy = law->period - law->stall;
    return working / busy * law->period + working % busy;
}

/* Above 0, at most 1. */
static double draw(struct honest_law *law) {
    law->random ^= law->random << 13;
    law->random ^= law->random >> 7;
    law->random ^= law->random << 17;
    return ((double)(law->random >> 11) + 1) * 0x1p-53;
}

uint64_t gnomon_honest_service(struct honest_law *law) {
    if (law->kind == HONEST_CONSTANT) return (uint64_t)law->scale;
    double first = -log(draw(law));
    if (law->kind == HONEST_EXPONENTIAL) return (uint64_t)(law->scale * first);
    double normal = sqrt(2 * first) * cos(6.283185307179586 * draw(law));
    return (uint64_t)(law->scale * exp(law->sigma * normal));
}
