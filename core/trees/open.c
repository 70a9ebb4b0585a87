#include "trees.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char MAGIC[8] = {'g', 'n', 'm', 't', 'r', 'e', 'e', 's'};

/* What no file reaches; sizes that are computed below cannot overflow 64 bits. */
enum { FEATURES = 1 << 20, OUTPUTS = 1 << 14, TREES = 1 << 20, DEPTH = 1 << 16 };
static const uint64_t LARGEST = (uint64_t)1 << 40;

static enum trees_fault check_head(const struct tree_header *head) {
    if (memcmp(head->magic, MAGIC, sizeof MAGIC)) return TREES_MAGIC;
    if (head->version != TREES_VERSION) return TREES_OTHER_VERSION;
    if (!head->features || head->features > FEATURES || !head->outputs || head->outputs > OUTPUTS)
        return TREES_HEADER;
    if (head->trees > TREES || !head->slots || head->slots > 4 * FEATURES) return TREES_HEADER;
    if (!head->first_category || head->first_category > head->slots) return TREES_HEADER;
    if (head->shift < 1 || head->shift > 31 || head->slots > 1u << head->shift) return TREES_HEADER;
    if (head->leaf_width != 1 && head->leaf_width != head->outputs) return TREES_HEADER;
    if (head->flags > 15 || head->link >= LINKS || head->nodes > LARGEST) return TREES_HEADER;
    if (head->set_words > LARGEST || head->values > LARGEST || head->text_bytes > LARGEST)
        return TREES_HEADER;
    if (!isfinite(head->scale) || !isfinite(head->offset)) return TREES_NUMBER;
    if (!isfinite(head->divisor) || head->divisor == 0) return TREES_NUMBER;
    return isfinite(head->factor) && head->factor != 0 ? TREES_GOOD : TREES_NUMBER;
}

/* Take the next section of a file; NULL if the file ends before the section does. */
static const void *take(const uint8_t *data, uint64_t size, uint64_t *at, uint64_t bytes) {
    uint64_t start = (*at + 7) / 8 * 8;
    if (start > size || bytes > size - start) return NULL;
    *at = start + bytes;
    return data + start;
}

static enum trees_fault find_sections(struct trees *trees, const uint8_t *data, uint64_t size) {
    const struct tree_header *head = &trees->head;
    uint64_t at = sizeof *head;
    trees->starts = take(data, size, &at, (uint64_t)head->outputs * sizeof(double));
    if (!trees->starts) return TREES_TOO_SHORT;
    trees->biases = take(data, size, &at, (uint64_t)head->outputs * sizeof(double));
    if (!trees->biases) return TREES_TOO_SHORT;
    trees->slots = take(data, size, &at, (uint64_t)head->slots * sizeof(struct tree_slot));
    if (!trees->slots) return TREES_TOO_SHORT;
    trees->entries = take(data, size, &at, (uint64_t)head->trees * sizeof(struct tree_entry));
    if (!trees->entries) return TREES_TOO_SHORT;
    trees->nodes = take(data, size, &at, head->nodes * sizeof(struct tree_node));
    if (!trees->nodes) return TREES_TOO_SHORT;
    trees->sets = take(data, size, &at, head->set_words * sizeof(uint32_t));
    if (!trees->sets) return TREES_TOO_SHORT;
    trees->values = take(data, size, &at, head->values * sizeof(double));
    if (!trees->values) return TREES_TOO_SHORT;
    trees->text = take(data, size, &at, head->text_bytes);
    return trees->text && at == size ? TREES_GOOD : TREES_TOO_SHORT;
}

static enum trees_fault check_tables(const struct trees *trees, uint64_t place[2]) {
    const struct tree_header *head = &trees->head;
    for (uint32_t i = 0; i < head->outputs; i++)
        if (!isfinite(trees->starts[i]) || !isfinite(trees->biases[i])) return TREES_NUMBER;
    for (uint64_t i = 0; i < head->values; i++) {
        place[1] = i;
        if (!isfinite(trees->values[i])) return TREES_VALUE;
    }
    for (uint32_t i = 1; i < head->slots; i++) {
        const struct tree_slot *slot = &trees->slots[i];
        place[1] = i;
        if (slot->feature >= head->features || slot->flags > 255) return TREES_SLOT;
        if (!(slot->flags & SLOT_CATEGORY) != (i < head->first_category)) return TREES_SLOT;
    }
    return TREES_GOOD;
}

/* Whether a number is the start of a set that ends in the table. */
static int is_set(const struct trees *trees, double number) {
    const uint64_t words = trees->head.set_words;
    if (!(number >= 0) || number >= (double)words || number != floor(number)) return 0;
    uint64_t at = (uint64_t)number;
    if (words - at < 2 || trees->sets[at + 1] > 3) return 0;
    return ((uint64_t)trees->sets[at] + 31) / 32 <= words - at - 2;
}

static int is_leaf_good(const struct trees *trees, double number) {
    const struct tree_header *head = &trees->head;
    if (head->leaf_width == 1) return isfinite(number);
    if (!(number >= 0) || number >= (double)head->values || number != floor(number)) return 0;
    return head->values - (uint64_t)number >= head->leaf_width;
}

/* Check the nodes of a tree. `levels` has room for its nodes: since children stand behind their
 * parents, one pass knows how deep each node is. */
static enum trees_fault check_nodes(const struct trees *trees, const struct tree_entry *entry,
                                    uint32_t *levels, uint64_t *where) {
    const struct tree_node *nodes = trees->nodes + entry->first;
    const uint32_t shift = trees->head.shift, mask = (1u << shift) - 1;
    uint32_t deepest = 0;
    memset(levels, 0, entry->nodes * sizeof *levels);
    for (uint32_t i = 0; i < entry->nodes; i++) {
        const double number = nodes[i].number;
        uint32_t slot = nodes[i].word & mask, ahead = nodes[i].word >> shift;
        *where = i;
        deepest = levels[i] > deepest ? levels[i] : deepest;
        if (!ahead) {
            if (slot || !is_leaf_good(trees, number)) return TREES_NODE;
            continue;
        }
        if (!slot || slot >= trees->head.slots || ahead >= entry->nodes - i - 1) return TREES_NODE;
        if (slot < trees->head.first_category ? number != number : !is_set(trees, number))
            return slot < trees->head.first_category ? TREES_NODE : TREES_SET;
        for (uint32_t child = i + ahead; child <= i + ahead + 1; child++)
            if (levels[child] <= levels[i]) levels[child] = levels[i] + 1;
    }
    return deepest == entry->depth ? TREES_GOOD : TREES_DEPTH;
}

static enum trees_fault check_trees(const struct trees *trees, uint64_t place[2]) {
    const struct tree_header *head = &trees->head;
    uint32_t largest = 1;
    uint64_t next = 0;
    for (uint32_t tree = 0; tree < head->trees; tree++) {
        const struct tree_entry *entry = &trees->entries[tree];
        place[0] = tree;
        place[1] = 0;
        if (!entry->nodes || entry->first != next || entry->reserved) return TREES_ENTRY;
        if (entry->nodes > head->nodes - next || entry->depth > DEPTH) return TREES_ENTRY;
        if (entry->output > head->outputs - head->leaf_width) return TREES_ENTRY;
        next += entry->nodes;
        largest = entry->nodes > largest ? entry->nodes : largest;
    }
    if (next != head->nodes) return TREES_ENTRY;
    uint32_t *levels = malloc((size_t)largest * sizeof *levels);
    if (!levels) return TREES_NO_MEMORY;
    enum trees_fault fault = TREES_GOOD;
    for (uint32_t tree = 0; !fault && tree < head->trees; tree++) {
        place[0] = tree;
        fault = check_nodes(trees, &trees->entries[tree], levels, &place[1]);
    }
    free(levels);
    return fault;
}

static uint32_t has_sets(const struct trees *trees, const struct tree_entry *entry) {
    const uint32_t mask = (1u << trees->head.shift) - 1;
    for (uint32_t i = 0; i < entry->nodes; i++)
        if ((trees->nodes[entry->first + i].word & mask) >= trees->head.first_category) return 1;
    return 0;
}

static enum trees_fault group_trees(struct trees *trees) {
    const uint32_t count = trees->head.trees;
    trees->group_count = (count + TREES_SIDE_BY_SIDE - 1) / TREES_SIDE_BY_SIDE;
    trees->groups = calloc(trees->group_count + 1, sizeof *trees->groups);
    if (!trees->groups) return TREES_NO_MEMORY;
    for (uint32_t tree = 0; tree < trees->group_count * TREES_SIDE_BY_SIDE; tree++) {
        struct tree_group *group = &trees->groups[tree / TREES_SIDE_BY_SIDE];
        const struct tree_entry *entry = &trees->entries[tree < count ? tree : count - 1];
        uint32_t place = tree % TREES_SIDE_BY_SIDE;
        group->roots[place] = trees->nodes + entry->first;
        if (tree >= count) continue;
        group->outputs[place] = entry->output;
        group->count = place + 1;
        group->steps = entry->depth > group->steps ? entry->depth : group->steps;
        group->has_sets |= has_sets(trees, entry);
    }
    return TREES_GOOD;
}

enum trees_fault gnomon_trees_open(struct trees *trees, const void *data, size_t size,
                                   uint64_t place[2]) {
    enum trees_fault fault;
    memset(trees, 0, sizeof *trees);
    place[0] = place[1] = 0;
    if (size < sizeof trees->head) return TREES_TOO_SHORT;
    memcpy(&trees->head, data, sizeof trees->head);
    fault = check_head(&trees->head);
    if (!fault) fault = find_sections(trees, data, size);
    if (!fault) fault = check_tables(trees, place);
    if (!fault) fault = check_trees(trees, place);
    return fault ? fault : group_trees(trees);
}

void gnomon_trees_close(struct trees *trees) {
    free(trees->groups);
    trees->groups = NULL;
}
