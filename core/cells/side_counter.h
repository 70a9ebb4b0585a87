/* One side (inputs or outputs) of a window: its layout, its counts, and their update. */
#ifndef GNOMON_SIDE_COUNTER_H
#define GNOMON_SIDE_COUNTER_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 128
/* Single rows that are counted together; multiples of 32, like all blocks. */
#define WAITING 64
#define PADDED(rows) (((rows) + 31) & ~31)
/* (int)(z + ROUNDING) − OFFSET rounds to nearest without a library call; |z| ≤ LIMIT. */
#define OFFSET 1073741824
#define ROUNDING 1073741824.5
#define LIMIT 1073741823.0
/* Standard scores for co-moments: 256 steps a standard deviation, clamped just under 16 of them.
   128 products of two fit an int32. */
#define SCORE_UNIT 256.0
#define SCORE_LIMIT 4095.0
#define SIGN 16

enum { SUM, SQUARES_LOW, SQUARES_HIGH, SCORE_SUM, SCORE_SQUARES, MOMENTS };
enum { PAIR_ROWS, PAIR_SIGNS, PAIR_SCORES, PAIR_SUMS };
enum { KIND_NUMERIC, KIND_SKETCH, KIND_CATEGORY };
enum { STATUS_OK, STATUS_MISSING, STATUS_INVALID, STATUS_UNSEEN };

typedef struct {
    int32_t kind, bins, zero_cell, slot;
    int64_t cells, moments; /* offsets into the side's counts */
    const double *edges;    /* bins + 1 edges, the last one nudged up, then NaN */
    const int32_t *keys;    /* the same edges, quantised */
    double shift, inverse_step, center, inverse_spread, median, tie;
} NumericField;

typedef struct {
    int16_t *score, *sign, *present;
} Stage;

typedef struct {
    int32_t first, second; /* slots */
} Pair;

typedef struct {
    int32_t fields, pairs, slots;
    int32_t pending; /* rows that wait */
    NumericField *field;
    Pair *pair;
    int64_t pair_counts, size; /* offset of the pairs into counts; number of counts */
    int32_t *slot_field;
    int64_t *counts;  /* counts[0] is the number of rows */
    double *extremes; /* least and greatest, a pair a field */
    double *waiting;  /* fields × WAITING: rows not yet counted */
    int16_t *stage;   /* slots × 3 × BLOCK */
    uint8_t *gaps;    /* a slot: whether its block has absent values */
    int32_t wide;     /* whether the AVX2 version runs */
} Side;

static inline int32_t quantise_one(double x, double shift, double scale, double limit) {
    double z = (x - shift) * scale;
    z = z > limit ? limit : z;
    z = z < -limit ? -limit : z;
    return z == z ? (int32_t)(z + ROUNDING) - OFFSET : 0;
}

/* The bucket of the log-linear sketch: 8 a factor of two from 2^-32 to 2^32, either sign. */
#define OCTAVES 64
#define PER_OCTAVE 8
#define HALF (OCTAVES * PER_OCTAVE)
#define BUCKETS (2 * HALF + 1)

static inline int sketch_bucket(double x) {
    double size = fabs(x);
    uint64_t bits;
    if (size < 0x1p-32) return HALF;
    if (size >= 0x1p32) size = 0x1.fffffp31;
    memcpy(&bits, &size, 8);
    int at = (int)(bits >> 49) - ((1023 - 32) << 3);
    return x < 0 ? HALF - 1 - at : HALF + 1 + at;
}

static inline void sketch_one(int64_t *buckets, double *extremes, double x) {
    buckets[sketch_bucket(x)]++;
    if (x < extremes[0]) extremes[0] = x + 0.0;
    if (x > extremes[1]) extremes[1] = x + 0.0;
}

/* A category's cell. A vector has no code: it is NaN, and present, and so in cell 0. */
static inline int category_cell(int known, double code, uint8_t status) {
    if (status == STATUS_OK)
        return code != code ? 0 : code >= 0 && code < known ? (int)code : known;
    return status == STATUS_MISSING ? known + 1 : status == STATUS_UNSEEN ? known : known + 2;
}

#define NAME(f) f##_base
#define TARGET
#define VECTOR_BYTES 16
#include "block_kernels.h"
#undef NAME
#undef TARGET
#undef VECTOR_BYTES
#if defined(__x86_64__) && defined(__GNUC__)
#define WIDE_VERSION 1
#define NAME(f) f##_wide
#define TARGET __attribute__((target("avx2")))
#define VECTOR_BYTES 32
#include "block_kernels.h"
#undef NAME
#undef TARGET
#undef VECTOR_BYTES
static int side_can_run_wide(void) {
    return __builtin_cpu_supports("avx2") != 0;
}
#define VERSION(side, f) ((side)->wide ? f##_wide : f##_base)
#else
static int side_can_run_wide(void) {
    return 0;
}
#define VERSION(side, f) f##_base
#endif

static inline Stage stage_of(Side *side, int slot) {
    int16_t *base = side->stage + (int64_t)slot * 3 * BLOCK;
    return (Stage){base, base + BLOCK, base + 2 * BLOCK};
}

/* Fold the staged block into the sums of pairs. */
static void fold_pairs(Side *side, int rows) {
    int padded = PADDED(rows);
    for (int p = 0; p < side->pairs; p++) {
        int64_t *sums = side->counts + side->pair_counts + (int64_t)p * PAIR_SUMS;
        int a = side->pair[p].first, b = side->pair[p].second;
        Stage one = stage_of(side, a), two = stage_of(side, b);
        int gaps = side->gaps[a] | side->gaps[b];
        sums[PAIR_ROWS] += gaps ? VERSION(side, dot)(one.present, two.present, padded) : rows;
        sums[PAIR_SIGNS] += VERSION(side, dot)(one.sign, two.sign, padded);
        sums[PAIR_SCORES] += VERSION(side, dot)(one.score, two.score, padded);
    }
    for (int slot = 0; slot < side->slots; slot++) {
        int64_t *moments = side->counts + side->field[side->slot_field[slot]].moments;
        Stage one = stage_of(side, slot);
        moments[SCORE_SUM] += VERSION(side, total)(one.score, padded);
        moments[SCORE_SQUARES] += VERSION(side, dot)(one.score, one.score, padded);
    }
}

static int sketch_block(Side *side, int i, const double *x, int rows) {
    const NumericField *f = &side->field[i];
    int absent = 0;
    for (int j = 0; j < rows; j++) {
        if (x[j] == x[j]) sketch_one(side->counts + f->moments, side->extremes + 2 * i, x[j]);
        else absent++;
    }
    side->counts[f->cells] += rows - absent;
    return absent;
}

/* Count a block of numbers, padded with NaN, and stage it; returns how many of them are NaN. */
static int value_block(Side *side, int i, const double *x, int rows) {
    const NumericField *f = &side->field[i];
    int padded = PADDED(rows);
    if (f->kind == KIND_SKETCH) return sketch_block(side, i, x, rows);
    int absent = VERSION(side, numeric_block)(f, x, padded, side->counts + f->cells,
                                              side->counts + f->moments, side->extremes + 2 * i);
    absent -= padded - rows;
    if (f->slot >= 0) {
        side->gaps[f->slot] = absent > 0;
        VERSION(side, stage_block)(f, x, padded, stage_of(side, f->slot));
    }
    return absent;
}

/* Count the rows that wait, as one block. */
static void side_flush(Side *side) {
    int rows = side->pending;
    if (!rows) return;
    for (int i = 0; i < side->fields; i++) {
        double *x = side->waiting + (int64_t)i * WAITING;
        if (side->field[i].kind == KIND_CATEGORY) continue;
        for (int j = rows; j < PADDED(rows); j++) x[j] = NAN;
        value_block(side, i, x, rows);
    }
    fold_pairs(side, rows);
    side->pending = 0;
}

/* Count one row. Its numbers wait until there is a block of them: that costs a third. */
static void side_row(Side *side, const double *values, const uint8_t *status) {
    double *waiting = side->waiting + side->pending;
    for (int i = 0; i < side->fields; i++) {
        const NumericField *f = &side->field[i];
        int64_t *cells = side->counts + f->cells;
        double x = values[i];
        if (f->kind == KIND_CATEGORY) {
            cells[category_cell(f->bins, x, status[i])]++;
            continue;
        }
        if (status[i] != STATUS_OK || x != x) {
            cells[f->bins + 2 + (status[i] > STATUS_MISSING)]++;
            x = NAN;
        }
        waiting[(int64_t)i * WAITING] = x;
    }
    side->counts[0]++;
    if (++side->pending == WAITING) side_flush(side);
}

#include "load_kernels.h"

static void category_block(const NumericField *f, const void *data, const uint8_t *status, int type,
                           int64_t start, int rows, int64_t *cells) {
    double x[BLOCK];
    load(data, type, start, rows, x);
    for (int j = 0; j < rows; j++) {
        uint8_t mark = STATUS_OK;
        if (status) mark = status[j];
        else if (type == AS_CODE && x[j] < 0) mark = x[j] == -1 ? STATUS_MISSING : STATUS_UNSEEN;
        else if (type != AS_VECTOR && x[j] != x[j]) mark = STATUS_MISSING;
        cells[category_cell(f->bins, x[j], mark)]++;
    }
}

static void number_block(Side *side, int i, const void *data, const uint8_t *status, int type,
                         int64_t start, int rows) {
    double copy[BLOCK] __attribute__((aligned(32)));
    const double *x = copy;
    int invalid = 0, marked = any_marked(status, rows);
    if (type == AS_FLOAT64 && !marked && rows == BLOCK) {
        x = (const double *)data + start;
    } else {
        load(data, type, start, rows, copy);
        if (marked) invalid = mark_absent(copy, status, rows);
        if (type == AS_CODE && !status)
            for (int j = 0; j < rows; j++)
                if (copy[j] < 0) copy[j] = NAN;
        for (int j = rows; j < PADDED(rows); j++) copy[j] = NAN;
    }
    int absent = value_block(side, i, x, rows);
    int64_t *missing = side->counts + side->field[i].cells + side->field[i].bins + 2;
    missing[0] += absent - invalid;
    missing[1] += invalid;
}

/* Count at most BLOCK rows of column i; `side_end_block` follows when all columns are done. */
static void side_block(Side *side, int i, const void *data, const uint8_t *status, int type,
                       int64_t start, int rows) {
    const NumericField *f = &side->field[i];
    const uint8_t *marks = status ? status + start : NULL;
    if (f->kind == KIND_CATEGORY)
        category_block(f, data, marks, type, start, rows, side->counts + f->cells);
    else number_block(side, i, data, marks, type, start, rows);
}

static void side_end_block(Side *side, int rows) {
    side->counts[0] += rows;
    fold_pairs(side, rows);
}

/* Count what waits, and carry Σq² from its low word to its high one. */
static void side_settle(Side *side) {
    side_flush(side);
    for (int i = 0; i < side->fields; i++) {
        if (side->field[i].kind != KIND_NUMERIC) continue;
        int64_t *moments = side->counts + side->field[i].moments;
        moments[SQUARES_HIGH] += (int64_t)((uint64_t)moments[SQUARES_LOW] >> 32);
        moments[SQUARES_LOW] &= 0xffffffff;
    }
}

static void side_clear(Side *side) {
    side->pending = 0;
    memset(side->counts, 0, sizeof(int64_t) * (size_t)side->size);
    for (int i = 0; i < side->fields; i++) {
        side->extremes[2 * i] = INFINITY;
        side->extremes[2 * i + 1] = -INFINITY;
    }
}

static void side_absorb(Side *side, const int64_t *counts, const double *extremes) {
    for (int64_t j = 0; j < side->size; j++) side->counts[j] += counts[j];
    for (int i = 0; i < side->fields; i++) {
        double *mine = side->extremes + 2 * i;
        if (extremes[2 * i] < mine[0]) mine[0] = extremes[2 * i];
        if (extremes[2 * i + 1] > mine[1]) mine[1] = extremes[2 * i + 1];
    }
}
#endif
