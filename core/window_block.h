/* The loops over a block of rows. Included once for each instruction set: NAME(f) gives the
   version's name, TARGET its attribute. Plain vector arithmetic: the compiler lowers it to what
   the instruction set has. No sum depends on the order of rows, so all versions agree exactly. */

/* Quantise to steps: round((x − shift) · scale), clamped; 0 for NaN. It never decreases in x. */
TARGET static inline v4si NAME(quantise)(const double *x, double shift, double scale,
                                         double limit)
{
    v4d z;
    memcpy(&z, x, 32);
    z = (z - shift) * scale;
    z = (v4d)((v4di)z & (z == z));
    v4d top = (v4d){0} + limit;
    v4di over = z > top, under = z < -top;
    z = (v4d)((over & (v4di)top) | (under & (v4di)-top) | (~(over | under) & (v4di)z));
    return __builtin_convertvector(z + ROUNDING, v4si) - OFFSET;
}

TARGET static inline void NAME(count_below)(const int32_t *keys, int count, const int32_t *q,
                                            int32_t *below)
{
    v8si q0, q1, q2, q3, n0 = {0}, n1 = {0}, n2 = {0}, n3 = {0};
    memcpy(&q0, q, 32), memcpy(&q1, q + 8, 32), memcpy(&q2, q + 16, 32), memcpy(&q3, q + 24, 32);
    for (int k = 0; k < count; k++) {
        v8si key = keys[k] - (v8si){0};
        n0 -= key < q0, n1 -= key < q1, n2 -= key < q2, n3 -= key < q3;
    }
    memcpy(below, &n0, 32), memcpy(below + 8, &n1, 32);
    memcpy(below + 16, &n2, 32), memcpy(below + 24, &n3, 32);
}

/* Count `x`, padded with NaN to a multiple of 32, into the cells; NaN is in none of them. */
TARGET static void NAME(numeric_cells)(const NumericField *f, const double *x, const int32_t *q,
                                       int padded, int absent, int64_t *cells)
{
    int32_t below[BLOCK];
    for (int j = 0; j < padded; j += 32) NAME(count_below)(f->keys, f->bins + 1, q + j, below + j);
    for (int j = 0; j < padded; j++) {
        int cell = below[j];
        while (x[j] >= f->edges[cell]) cell++;
        cells[cell]++;
    }
    cells[f->zero_cell] -= absent;
}

TARGET static void NAME(numeric_moments)(const int32_t *q, const double *x, int padded,
                                         int64_t *moments, double *extremes)
{
    int64_t sum = 0;
    uint64_t low = 0, high = 0;
    for (int j = 0; j < padded; j++) sum += q[j];
    for (int j = 0; j < padded; j++) {
        uint32_t size = (uint32_t)(q[j] < 0 ? -q[j] : q[j]);
        uint64_t square = (uint64_t)size * size;
        low += square & 0xffffffffu;
        high += square >> 32;
    }
    moments[SUM] += sum, moments[SQUARES_LOW] += low, moments[SQUARES_HIGH] += high;
    v4d least = (v4d){0} + extremes[0], greatest = (v4d){0} + extremes[1];
    for (int j = 0; j < padded; j += 4) {
        v4d v;
        memcpy(&v, x + j, 32);
        v4di less = v < least, more = v > greatest;
        least = (v4d)((less & (v4di)v) | (~less & (v4di)least));
        greatest = (v4d)((more & (v4di)v) | (~more & (v4di)greatest));
    }
    for (int lane = 0; lane < 4; lane++) {
        if (least[lane] < extremes[0]) extremes[0] = least[lane] + 0.0;
        if (greatest[lane] > extremes[1]) extremes[1] = greatest[lane] + 0.0;
    }
}

TARGET static void NAME(numeric_block)(const NumericField *f, const double *x, int rows,
                                       int absent, int64_t *cells, int64_t *moments,
                                       double *extremes)
{
    int32_t q[BLOCK] __attribute__((aligned(32)));
    int padded = (rows + 31) & ~31;
    for (int j = 0; j < padded; j += 4) {
        v4si lane = NAME(quantise)(x + j, f->shift, f->inverse_step, LIMIT);
        memcpy(q + j, &lane, 16);
    }
    NAME(numeric_cells)(f, x, q, padded, absent + padded - rows, cells);
    NAME(numeric_moments)(q, x, padded, moments, extremes);
}

/* Prepare a block for the pairs: standard scores, signs around the median, presence. */
TARGET static void NAME(stage_block)(const NumericField *f, const double *x, int rows, Stage to)
{
    double tie = f->tie, median = f->median;
    for (int j = 0; j < rows; j += 4) {
        v4d v;
        memcpy(&v, x + j, 32);
        v4si score = NAME(quantise)(x + j, f->center, f->inverse_spread, SCORE_LIMIT);
        v4d sign = (v4d)((v4di)((v4d){0} + SIGN) & (v > median))
                 - (v4d)((v4di)((v4d){0} + SIGN) & (v < median))
                 + (v4d)((v4di)((v4d){0} + tie) & (v == median));
        v4hi signs = __builtin_convertvector(__builtin_convertvector(sign, v4si), v4hi);
        v4hi scores = __builtin_convertvector(score, v4hi);
        v4hi present = __builtin_convertvector(-(v == v), v4hi);
        int left = rows - j < 4 ? (rows - j) * 2 : 8;
        memcpy(to.score + j, &scores, left);
        memcpy(to.sign + j, &signs, left);
        memcpy(to.present + j, &present, left);
    }
}

TARGET static int32_t NAME(dot)(const int16_t *a, const int16_t *b)
{
    int32_t sum = 0;
    for (int j = 0; j < BLOCK; j++) sum += (int32_t)a[j] * b[j];
    return sum;
}

TARGET static int32_t NAME(total)(const int16_t *a)
{
    int32_t sum = 0;
    for (int j = 0; j < BLOCK; j++) sum += a[j];
    return sum;
}
