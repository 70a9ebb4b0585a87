/* Passes over one column that only find whether any value breaks a rule. They have no
 * branches, so that compilers vectorise them; what is found is listed by a slower pass. */
#ifndef GNOMON_CONTRACT_KERNELS_H
#define GNOMON_CONTRACT_KERNELS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* Wheels are built for the oldest x86-64; if the loader can choose, it takes AVX2. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define GNOMON_MULTIVERSION __attribute__((target_clones("avx2", "default")))
#else
#define GNOMON_MULTIVERSION
#endif

/* Not `value >= low && value <= high`: the negations let NaN pass where it may. */
#define GNOMON_ANY_OUTSIDE(NAME, TYPE)                                                             \
    GNOMON_MULTIVERSION static int gnomon_any_outside_##NAME(const TYPE *values, ptrdiff_t count,  \
                                                             TYPE low, TYPE high) {                \
        int bad = 0;                                                                               \
        for (ptrdiff_t i = 0; i < count; i++) bad |= (values[i] < low) | (values[i] > high);       \
        return bad;                                                                                \
    }

#define GNOMON_ANY_OUTSIDE_OR_NAN(NAME, TYPE)                                                      \
    GNOMON_MULTIVERSION static int gnomon_any_outside_or_nan_##NAME(                               \
        const TYPE *values, ptrdiff_t count, TYPE low, TYPE high) {                                \
        int bad = 0;                                                                               \
        for (ptrdiff_t i = 0; i < count; i++) bad |= !(values[i] >= low) | !(values[i] <= high);   \
        return bad;                                                                                \
    }

/* Infinities are whole here; whether they may be is a matter of bounds. */
#define GNOMON_ANY_FRACTION(NAME, TYPE, FLOOR)                                                     \
    GNOMON_MULTIVERSION static int gnomon_any_fraction_##NAME(const TYPE *values,                  \
                                                              ptrdiff_t count) {                   \
        int bad = 0;                                                                               \
        for (ptrdiff_t i = 0; i < count; i++) bad |= (FLOOR(values[i]) < values[i]);               \
        return bad;                                                                                \
    }

/* Whole numbers within [base, base + 63], as their range check has found: one bit each. */
#define GNOMON_ANY_UNSET(NAME, TYPE)                                                               \
    GNOMON_MULTIVERSION static int gnomon_any_unset_##NAME(const TYPE *values, ptrdiff_t count,    \
                                                           int64_t base, uint64_t bits) {          \
        uint64_t set = 1;                                                                          \
        for (ptrdiff_t i = 0; i < count; i++)                                                      \
            set &= bits >> (((uint64_t)values[i] - (uint64_t)base) & 63);                          \
        return (int)(~set & 1);                                                                    \
    }

#define GNOMON_INTEGER(NAME, TYPE) GNOMON_ANY_OUTSIDE(NAME, TYPE) GNOMON_ANY_UNSET(NAME, TYPE)

GNOMON_INTEGER(i8, int8_t)
GNOMON_INTEGER(i16, int16_t)
GNOMON_INTEGER(i32, int32_t)
GNOMON_INTEGER(i64, int64_t)
GNOMON_INTEGER(u8, uint8_t)
GNOMON_INTEGER(u16, uint16_t)
GNOMON_INTEGER(u32, uint32_t)
GNOMON_INTEGER(u64, uint64_t)
GNOMON_ANY_OUTSIDE(f32, float)
GNOMON_ANY_OUTSIDE(f64, double)
GNOMON_ANY_OUTSIDE_OR_NAN(f32, float)
GNOMON_ANY_OUTSIDE_OR_NAN(f64, double)
GNOMON_ANY_FRACTION(f32, float, floorf)
GNOMON_ANY_FRACTION(f64, double, floor)

typedef struct {
    int64_t low;
    int64_t high;
    /* Of the 64 numbers from low on, those that are allowed; read only if has_bits. */
    uint64_t bits;
    int has_bits;
} gnomon_integer_rules;

#define GNOMON_CASE(NUMBER, NAME, TYPE)                                                            \
    case NUMBER:                                                                                   \
        return gnomon_any_outside_##NAME((const TYPE *)values, count, (TYPE)rules->low,            \
                                         (TYPE)rules->high) ||                                     \
               (rules->has_bits &&                                                                 \
                gnomon_any_unset_##NAME((const TYPE *)values, count, rules->low, rules->bits));

/* `type` is a ColumnType of row.pxd. */
static int gnomon_any_broken_integer(int type, const void *values, ptrdiff_t count,
                                     const gnomon_integer_rules *rules) {
    switch (type) {
        GNOMON_CASE(1, i8, int8_t)
        GNOMON_CASE(2, i16, int16_t)
        GNOMON_CASE(3, i32, int32_t)
        GNOMON_CASE(4, i64, int64_t)
        GNOMON_CASE(5, u8, uint8_t)
        GNOMON_CASE(6, u16, uint16_t)
        GNOMON_CASE(7, u32, uint32_t)
        GNOMON_CASE(8, u64, uint64_t)
    }
    return 1;
}

static int gnomon_any_broken_float(const float *values, ptrdiff_t count, double low, double high,
                                   int nullable, int whole) {
    int bad = nullable ? gnomon_any_outside_f32(values, count, (float)low, (float)high)
                       : gnomon_any_outside_or_nan_f32(values, count, (float)low, (float)high);
    return bad || (whole && gnomon_any_fraction_f32(values, count));
}

static int gnomon_any_broken_double(const double *values, ptrdiff_t count, double low, double high,
                                    int nullable, int whole) {
    int bad = nullable ? gnomon_any_outside_f64(values, count, low, high)
                       : gnomon_any_outside_or_nan_f64(values, count, low, high);
    return bad || (whole && gnomon_any_fraction_f64(values, count));
}

#endif
