#include "trees.h"

#include <math.h>
#include <string.h>

/* As the float32 1e-35. */
static const double TINY = 1.0000000180025095e-35;
static const double CODES = 2147483648.0;

static double category(double value, uint32_t flags) {
    double lowest = flags & SLOT_CATEGORY_TRUNCATE ? -1.0 : -0x1p-1074;
    if (value != value) return value;
    if (!(value > lowest && value < CODES)) return -1.0;
    double code = (double)(int32_t)value;
    return flags & SLOT_CATEGORY_EXACT && code != value ? -1.0 : code;
}

static double see(double value, uint32_t flags) {
    if (flags & SLOT_FLOAT32) value = (double)(float)value;
    if (flags & SLOT_TINY_IS_ZERO && fabs(value) <= TINY) value = 0.0;
    if (flags & SLOT_ZERO_IS_MISSING && value == 0.0) value = NAN;
    if (value != value) {
        if (flags & SLOT_MISSING_LEFT) value = -INFINITY;
        else if (flags & SLOT_MISSING_ZERO) value = 0.0;
    }
    return flags & SLOT_CATEGORY ? category(value, flags) : value;
}

void gnomon_trees_prepare(const struct trees *trees, const double *row, double *values,
                          size_t stride) {
    values[0] = -INFINITY;
    for (size_t slot = 1; slot < trees->head.slots; slot++)
        values[slot * stride] = see(row[trees->slots[slot].feature], trees->slots[slot].flags);
}

/* Whether a code goes right by the set at a place. */
static int set_right(const uint32_t *set, double code) {
    if (code != code) return (set[1] & SET_MISSING_RIGHT) != 0;
    if (code < 0 || code >= set[0]) return (set[1] & SET_OUTSIDE_RIGHT) != 0;
    uint32_t bit = (uint32_t)code;
    return !(set[2 + bit / 32] >> (bit & 31) & 1);
}

static const struct tree_node *step(const struct tree_node *node, const double *values,
                                    size_t stride, uint32_t mask, uint32_t shift) {
    return node + (node->word >> shift) + !(values[(node->word & mask) * stride] <= node->number);
}

static const struct tree_node *step_sets(const struct trees *trees, const struct tree_node *node,
                                         const double *values, size_t stride) {
    uint32_t slot = node->word & ((1u << trees->head.shift) - 1);
    double value = values[slot * stride];
    int right = slot < trees->head.first_category
                    ? !(value <= node->number)
                    : set_right(trees->sets + (size_t)node->number, value);
    return node + (node->word >> trees->head.shift) + right;
}

/* One step of eight walks; their loads do not wait for each other. */
#define EIGHT(one) one(0) one(1) one(2) one(3) one(4) one(5) one(6) one(7)

static void walk_trees(const struct trees *trees, const struct tree_group *group,
                       const double *values, const struct tree_node **at) {
    const uint32_t shift = trees->head.shift, mask = (1u << shift) - 1;
#define BEGIN(i) const struct tree_node *n##i = group->roots[i];
#define STEP(i) n##i = step(n##i, values, 1, mask, shift);
#define END(i) at[i] = n##i;
    EIGHT(BEGIN)
    for (uint32_t left = group->steps; left; left--) {
        EIGHT(STEP)
    }
    EIGHT(END)
#undef BEGIN
#undef STEP
}

static void walk_rows(const struct trees *trees, const struct tree_node *root, uint32_t steps,
                      const double *values, const struct tree_node **at) {
    const uint32_t shift = trees->head.shift, mask = (1u << shift) - 1;
#define BEGIN(i) const struct tree_node *n##i = root;
#define STEP(i) n##i = step(n##i, values + i, TREES_ROWS, mask, shift);
    EIGHT(BEGIN)
    for (uint32_t left = steps; left; left--) {
        EIGHT(STEP)
    }
    EIGHT(END)
#undef BEGIN
#undef STEP
#undef END
}

static const struct tree_node *walk_sets(const struct trees *trees, const struct tree_node *node,
                                         uint32_t steps, const double *values, size_t stride) {
    while (steps--) node = step_sets(trees, node, values, stride);
    return node;
}

/* Add a leaf to the scores of a row, in the precision of the trainer. */
static void add(const struct trees *trees, const struct tree_node *leaf, uint32_t output,
                double *scores) {
    uint32_t width = trees->head.leaf_width;
    const double one = leaf->number;
    const double *values = width == 1 ? &one : trees->values + (size_t)one;
    if (trees->head.flags & TREES_FLOAT_SUMS)
        for (uint32_t i = 0; i < width; i++)
            scores[output + i] = (double)((float)scores[output + i] + (float)values[i]);
    else
        for (uint32_t i = 0; i < width; i++) scores[output + i] += values[i];
}

/* A number in the precision of the sums. Rounding what float64 made of float32 is exact here. */
static double rounded(const struct trees *trees, double value) {
    return trees->head.flags & TREES_FLOAT_SUMS ? (double)(float)value : value;
}

static void finish(const struct trees *trees, double *scores) {
    const struct tree_header *head = &trees->head;
    for (uint32_t i = 0; i < head->outputs; i++) {
        if (head->divisor != 1.0) scores[i] = rounded(trees, scores[i] / head->divisor);
        if (head->flags & TREES_SCALES)
            scores[i] = rounded(trees, rounded(trees, scores[i] * head->scale) + trees->biases[i]);
    }
}

static void run_row(const struct trees *trees, const double *row, double *scores, double *values) {
    const struct tree_node *at[TREES_SIDE_BY_SIDE];
    const int is_plain = trees->head.outputs == 1 && trees->head.leaf_width == 1;
    const int is_float = (trees->head.flags & TREES_FLOAT_SUMS) != 0;
    double sum = trees->starts[0];
    float float_sum = (float)sum;
    gnomon_trees_prepare(trees, row, values, 1);
    memcpy(scores, trees->starts, trees->head.outputs * sizeof *scores);
    for (size_t index = 0; index < trees->group_count; index++) {
        const struct tree_group *group = &trees->groups[index];
        if (!group->has_sets) walk_trees(trees, group, values, at);
        else
            for (uint32_t i = 0; i < group->count; i++)
                at[i] = walk_sets(trees, group->roots[i], group->steps, values, 1);
        if (!is_plain)
            for (uint32_t i = 0; i < group->count; i++)
                add(trees, at[i], group->outputs[i], scores);
        else if (is_float)
            for (uint32_t i = 0; i < group->count; i++) float_sum += (float)at[i]->number;
        else
            for (uint32_t i = 0; i < group->count; i++) sum += at[i]->number;
    }
    if (is_plain) scores[0] = is_float ? (double)float_sum : sum;
    finish(trees, scores);
}

/* Run up to TREES_ROWS rows, tree by tree: a tree stays in the cache for all of them. */
static void run_block(const struct trees *trees, const double *row, size_t rows, double *scores,
                      double *values) {
    const struct tree_node *at[TREES_SIDE_BY_SIDE];
    const uint32_t outputs = trees->head.outputs;
    for (size_t i = 0; i < TREES_ROWS; i++) {
        size_t source = i < rows ? i : rows - 1;
        gnomon_trees_prepare(trees, row + source * trees->head.features, values + i, TREES_ROWS);
    }
    for (size_t i = 0; i < rows; i++)
        memcpy(scores + i * outputs, trees->starts, outputs * sizeof *scores);
    for (uint32_t tree = 0; tree < trees->head.trees; tree++) {
        const struct tree_group *group = &trees->groups[tree / TREES_SIDE_BY_SIDE];
        const struct tree_entry *entry = &trees->entries[tree];
        const struct tree_node *root = trees->nodes + entry->first;
        for (size_t first = 0; first < rows; first += TREES_SIDE_BY_SIDE) {
            size_t count = rows - first < TREES_SIDE_BY_SIDE ? rows - first : TREES_SIDE_BY_SIDE;
            if (!group->has_sets) walk_rows(trees, root, entry->depth, values + first, at);
            else
                for (size_t i = 0; i < count; i++)
                    at[i] = walk_sets(trees, root, entry->depth, values + first + i, TREES_ROWS);
            for (size_t i = 0; i < count; i++)
                add(trees, at[i], entry->output, scores + (first + i) * outputs);
        }
    }
    for (size_t i = 0; i < rows; i++) finish(trees, scores + i * outputs);
}

/* Of so many slots, a block of rows would take more memory than it saves time. */
enum { WIDE = 1 << 13 };

size_t gnomon_trees_scratch(const struct trees *trees) {
    return (size_t)trees->head.slots * (trees->head.slots > WIDE ? 1 : TREES_ROWS);
}

void gnomon_trees_rows(const struct trees *trees, const double *row, size_t rows, double *scores,
                       double *scratch) {
    const size_t features = trees->head.features, outputs = trees->head.outputs;
    while (rows >= TREES_SIDE_BY_SIDE && trees->head.slots <= WIDE) {
        size_t count = rows < TREES_ROWS ? rows : TREES_ROWS;
        run_block(trees, row, count, scores, scratch);
        row += count * features;
        scores += count * outputs;
        rows -= count;
    }
    for (; rows; rows--, row += features, scores += outputs) run_row(trees, row, scores, scratch);
}
