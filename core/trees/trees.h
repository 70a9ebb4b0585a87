/* A model of decision trees over a file that is read in place: opened, then run on rows.
 *
 * A node is 12 bytes. It holds a number and a word: the lowest `shift` bits of the word are a slot,
 * the others say how far ahead the node's left child is; the right child follows the left one. A
 * row's value in the slot goes left if it is at most the number, and right otherwise, also if it is
 * NaN. A leaf is zero nodes ahead of itself and has slot 0, which is -inf in every row: a walk
 * that reached it stays. So children stand behind their parents, no walk can leave the file, and
 * trees are walked side by side for a fixed number of steps. A leaf's number is its value, or the
 * place of its values in the table of values if a leaf has several.
 *
 * A slot is a feature as some nodes see it: rounded to float32, or with what is missing sent left
 * (-inf) or right (NaN). A node of a categorical slot has no threshold but the place of a set.
 */
#ifndef GNOMON_TREES_H
#define GNOMON_TREES_H

#include <stddef.h>
#include <stdint.h>

enum {
    TREES_VERSION = 1,
    TREES_SIDE_BY_SIDE = 8, /* trees of a row, or rows of a tree */
    TREES_ROWS = 64,        /* rows that a batch prepares at once */
};

/* What a slot does with a feature, in this order. */
enum slot_flag {
    SLOT_FLOAT32 = 1,         /* round to float32 */
    SLOT_TINY_IS_ZERO = 2,    /* up to 1e-35 (as float32) in magnitude is 0 */
    SLOT_ZERO_IS_MISSING = 4, /* 0 is NaN */
    SLOT_MISSING_LEFT = 8,    /* NaN is -inf; without this and the next it stays, and goes right */
    SLOT_MISSING_ZERO = 16,   /* NaN is 0 */
    SLOT_CATEGORY = 32,       /* a category's code: truncated; -1 below 0 and from 2^31 */
    SLOT_CATEGORY_TRUNCATE = 64, /* numbers between -1 and 0 are category 0 */
    SLOT_CATEGORY_EXACT = 128,   /* numbers that are not whole are -1 */
};

/* What a set says of codes without a bit: those that it does not reach, and NaN. */
enum set_flag { SET_OUTSIDE_RIGHT = 1, SET_MISSING_RIGHT = 2 };

enum tree_link {
    LINK_IDENTITY,
    LINK_SIGMOID,       /* 1 / (1 + exp(-factor x)) */
    LINK_SOFTMAX,       /* over all outputs */
    LINK_EXP,           /* exp(x) */
    LINK_SIGMOID_FLOAT, /* these three in float32 */
    LINK_SOFTMAX_FLOAT,
    LINK_EXP_FLOAT,
    LINK_SIGNED_SQUARE, /* sign(x) x^2 */
    LINK_LOG1P_EXP,     /* log(1 + exp(x)) */
    LINK_EXP2_NEGATIVE, /* -2^(-x / factor) - offset */
    LINK_POSITIVE,      /* 1 if x > 0, else 0 */
    LINK_ARGMAX,        /* the first of the largest outputs, as one number */
    LINKS
};

enum tree_flag {
    TREES_FLOAT_SUMS = 1,    /* sums in float32 */
    TREES_TAKES_MISSING = 2, /* the trainer's model takes NaN */
    TREES_FLOAT_ANSWER = 4,  /* answers are float32 */
    TREES_SCALES = 8         /* sums times `scale`, plus `bias` */
};

/* The start of a file; little-endian, as all of it. Behind it, each from a multiple of 8: `starts`
 * and `biases` (outputs x float64), slots, trees, nodes, sets (uint32), values (float64), text. */
struct tree_header {
    char magic[8];
    uint32_t version, features, outputs, trees;
    uint32_t slots, first_category, shift, leaf_width;
    uint32_t flags, link;
    uint64_t nodes, set_words, values, text_bytes;
    double divisor, scale, factor, offset;
};

struct tree_slot {
    uint32_t feature, flags;
};

struct tree_entry {
    uint64_t first;
    uint32_t nodes, depth, output, reserved;
};

#pragma pack(push, 4)
struct tree_node {
    double number;
    uint32_t word;
};
#pragma pack(pop)

/* Trees that are walked side by side; the last group repeats a tree, whose value is not added. */
struct tree_group {
    const struct tree_node *roots[TREES_SIDE_BY_SIDE];
    uint32_t outputs[TREES_SIDE_BY_SIDE];
    uint32_t steps, count, has_sets;
};

struct trees {
    struct tree_header head;
    const double *starts, *biases, *values;
    const struct tree_slot *slots;
    const struct tree_entry *entries;
    const struct tree_node *nodes;
    const uint32_t *sets;
    const char *text;
    struct tree_group *groups;
    size_t group_count;
};

/* Why a file is refused; `place` then holds a tree and a node, or 0. */
enum trees_fault {
    TREES_GOOD,
    TREES_NO_MEMORY,
    TREES_TOO_SHORT,
    TREES_MAGIC,
    TREES_OTHER_VERSION,
    TREES_HEADER,
    TREES_NUMBER,
    TREES_SLOT,
    TREES_ENTRY,
    TREES_NODE,
    TREES_SET,
    TREES_VALUE,
    TREES_DEPTH,
    TREES_FAULTS
};

/* Open a file, which must be aligned to 8 bytes and outlive `trees`. Looks at all of it: what is
 * taken cannot make a walk leave it. Any thread; `trees` is the caller's, who ends it with
 * gnomon_trees_close() also if the file is refused. */
enum trees_fault gnomon_trees_open(struct trees *trees, const void *data, size_t size,
                                   uint64_t place[2]);
/* Give back the memory that opening took; a second call does nothing. */
void gnomon_trees_close(struct trees *trees);

/* How many numbers of float64 gnomon_trees_rows() needs as scratch. */
size_t gnomon_trees_scratch(const struct trees *trees);
/* Numbers of an answer for each row: of the raw scores as many as outputs. */
size_t gnomon_trees_answers(const struct trees *trees);

/* Write the raw scores of `rows` rows of `features` numbers each, (rows, outputs). Any thread; no
 * lock, no allocation; `scratch` is the caller's and used by one call at a time, aligned to 8. */
void gnomon_trees_rows(const struct trees *trees, const double *row, size_t rows, double *scores,
                       double *scratch);
/* Turn the raw scores of one row into its answers, in place. Any thread. */
void gnomon_trees_link(const struct trees *trees, double *scores);

/* A row as all slots see it; `stride` apart. Any thread. */
void gnomon_trees_prepare(const struct trees *trees, const double *row, double *values,
                          size_t stride);

#endif
