/* The loops over a block of rows. Included once for each instruction set: NAME(f) gives the
   version's name, TARGET its attribute, VECTOR_BYTES its width. No sum depends on the order of
   rows, so all versions agree exactly. */

#define LANES (VECTOR_BYTES / 8)
typedef double NAME(reals) __attribute__((vector_size(VECTOR_BYTES)));
typedef int64_t NAME(masks) __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t NAME(ints) __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t NAME(half_ints) __attribute__((vector_size(VECTOR_BYTES / 2)));

/* Quantise one vector to steps: round((x − shift) · scale), clamped; 0 for NaN. It never
   decreases in x. */
TARGET static inline void NAME(quantise)(const double *x, double shift, double scale, double limit,
                                         int32_t *q) {
    NAME(reals) z, top = (NAME(reals)){0} + limit, bottom = -top;
    memcpy(&z, x, VECTOR_BYTES);
    z = (z - shift) * scale;
    z = (NAME(reals))((NAME(masks))z & (z == z));
    NAME(masks) over = z > top, under = z < bottom;
    z = (NAME(reals))((over & (NAME(masks))top) | (under & (NAME(masks))bottom) |
                      (~(over | under) & (NAME(masks))z));
    NAME(half_ints) steps = __builtin_convertvector(z + ROUNDING, NAME(half_ints)) - OFFSET;
    memcpy(q, &steps, VECTOR_BYTES / 2);
}

/* For 4 vectors of quantised values, count the keys below each. */
TARGET static inline void NAME(count_below)(const int32_t *keys, int count, const int32_t *q,
                                            int32_t *below) {
    const int step = VECTOR_BYTES / 4;
    NAME(ints) q0, q1, q2, q3, n0 = {0}, n1 = {0}, n2 = {0}, n3 = {0};
    memcpy(&q0, q, VECTOR_BYTES), memcpy(&q1, q + step, VECTOR_BYTES);
    memcpy(&q2, q + 2 * step, VECTOR_BYTES), memcpy(&q3, q + 3 * step, VECTOR_BYTES);
    for (int k = 0; k < count; k++) {
        NAME(ints) key = keys[k] - (NAME(ints)){0};
        n0 -= key < q0, n1 -= key < q1, n2 -= key < q2, n3 -= key < q3;
    }
    memcpy(below, &n0, VECTOR_BYTES), memcpy(below + step, &n1, VECTOR_BYTES);
    memcpy(below + 2 * step, &n2, VECTOR_BYTES), memcpy(below + 3 * step, &n3, VECTOR_BYTES);
}

/* Count values into the cells; NaN is in none of them. */
TARGET static void NAME(numeric_cells)(const NumericField *f, const double *x, const int32_t *q,
                                       int padded, int absent, int64_t *cells) {
    int32_t below[BLOCK];
    for (int j = 0; j < padded; j += VECTOR_BYTES)
        NAME(count_below)(f->keys, f->bins + 1, q + j, below + j);
    for (int j = 0; j < padded; j++) {
        int cell = below[j];
        while (x[j] >= f->edges[cell]) cell++;
        cells[cell]++;
    }
    cells[f->zero_cell] -= absent;
}

TARGET static void NAME(numeric_moments)(const int32_t *q, const double *x, int padded,
                                         int64_t *moments, double *extremes) {
    int64_t sum = 0;
    uint64_t low = 0, high = 0;
    for (int j = 0; j < padded; j++) sum += q[j];
    for (int j = 0; j < padded; j++) {
        uint32_t size = (uint32_t)(q[j] < 0 ? -q[j] : q[j]);
        uint64_t square = (uint64_t)size * size;
        low += square & 0xffffffffu;
        high += square >> 32;
    }
    moments[SUM] += sum;
    moments[SQUARES_LOW] += (int64_t)low;
    moments[SQUARES_HIGH] += (int64_t)high;
    NAME(reals) least = (NAME(reals)){0} + extremes[0], greatest = (NAME(reals)){0} + extremes[1];
    for (int j = 0; j < padded; j += LANES) {
        NAME(reals) v;
        memcpy(&v, x + j, VECTOR_BYTES);
        NAME(masks) less = v < least;
        NAME(masks) more = v > greatest;
        least = (NAME(reals))((less & (NAME(masks))v) | (~less & (NAME(masks))least));
        greatest = (NAME(reals))((more & (NAME(masks))v) | (~more & (NAME(masks))greatest));
    }
    for (int lane = 0; lane < LANES; lane++) {
        /* + 0.0 makes −0 and 0 one, or the order of rows would show. */
        if (least[lane] < extremes[0]) extremes[0] = least[lane] + 0.0;
        if (greatest[lane] > extremes[1]) extremes[1] = greatest[lane] + 0.0;
    }
}

/* Count a block, padded with NaN to a multiple of 32, into cells and moments; returns how many
   values are NaN. */
TARGET static int NAME(numeric_block)(const NumericField *f, const double *x, int padded,
                                      int64_t *cells, int64_t *moments, double *extremes) {
    int32_t q[BLOCK] __attribute__((aligned(32)));
    int absent = 0;
    NAME(masks) empty = {0};
    for (int j = 0; j < padded; j += LANES) {
        NAME(reals) v;
        memcpy(&v, x + j, VECTOR_BYTES);
        empty -= v != v;
        NAME(quantise)(x + j, f->shift, f->inverse_step, LIMIT, q + j);
    }
    for (int lane = 0; lane < LANES; lane++) absent += (int)empty[lane];
    NAME(numeric_cells)(f, x, q, padded, absent, cells);
    NAME(numeric_moments)(q, x, padded, moments, extremes);
    return absent;
}

/* Prepare a block for the pairs: standard scores, signs around the median, presence. All three
   are 0 for NaN. */
TARGET static void NAME(stage_block)(const NumericField *f, const double *x, int padded, Stage to) {
    int32_t scores[BLOCK] __attribute__((aligned(32)));
    int16_t tie = (int16_t)f->tie;
    double median = f->median;
    for (int j = 0; j < padded; j += LANES)
        NAME(quantise)(x + j, f->center, f->inverse_spread, SCORE_LIMIT, scores + j);
    for (int j = 0; j < padded; j++) to.score[j] = (int16_t)scores[j];
    for (int j = 0; j < padded; j++) {
        int16_t above = x[j] > median, below = x[j] < median, equal = x[j] == median;
        to.sign[j] = (int16_t)(SIGN * (above - below) + tie * equal);
        to.present[j] = (int16_t)(above | below | equal);
    }
}

TARGET static int32_t NAME(dot)(const int16_t *a, const int16_t *b, int padded) {
    int32_t sum = 0;
    for (int j = 0; j < padded; j++) sum += (int32_t)a[j] * b[j];
    return sum;
}

TARGET static int32_t NAME(total)(const int16_t *a, int padded) {
    int32_t sum = 0;
    for (int j = 0; j < padded; j++) sum += a[j];
    return sum;
}
#undef LANES
