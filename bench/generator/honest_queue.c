/* Answers that are due later, and the workers that they wait for. */
#include "honest_queue.h"

/* Exchange an entry with its parent as long as it is earlier. */
static void rise(struct honest_due *heap, size_t index) {
    while (index && heap[index].at < heap[(index - 1) / 2].at) {
        struct honest_due other = heap[(index - 1) / 2];
        heap[(index - 1) / 2] = heap[index];
        heap[index] = other;
        index = (index - 1) / 2;
    }
}

static void sink(struct honest_due *heap, size_t size, size_t index) {
    for (size_t child; (child = 2 * index + 1) < size; index = child) {
        if (child + 1 < size && heap[child + 1].at < heap[child].at) child++;
        if (heap[index].at <= heap[child].at) return;
        struct honest_due other = heap[child];
        heap[child] = heap[index];
        heap[index] = other;
    }
}

int gnomon_honest_push(struct honest *server, struct honest_due due) {
    if (server->heap_size == server->heap_room) {
        size_t room = server->heap_room ? 2 * server->heap_room : 1024;
        struct honest_due *heap = realloc(server->heap, room * sizeof *heap);
        if (!heap) return -1;
        server->heap = heap;
        server->heap_room = room;
    }
    server->heap[server->heap_size] = due;
    rise(server->heap, server->heap_size++);
    return 0;
}

struct honest_due gnomon_honest_pop(struct honest *server) {
    struct honest_due first = server->heap[0];
    server->heap[0] = server->heap[--server->heap_size];
    sink(server->heap, server->heap_size, 0);
    return first;
}

/* Let the worker that is free first work until `end`. */
static void occupy(uint64_t *free_at, uint64_t workers, uint64_t end) {
    size_t index = 0;
    for (size_t child; (child = 2 * index + 1) < workers; index = child) {
        if (child + 1 < workers && free_at[child + 1] < free_at[child]) child++;
        if (end <= free_at[child]) break;
        free_at[index] = free_at[child];
    }
    free_at[index] = end;
}

uint64_t gnomon_honest_due_at(struct honest *server, uint64_t now) {
    struct honest_law *law = &server->law;
    uint64_t begin = gnomon_honest_working(law, now - server->since);
    uint64_t service = gnomon_honest_service(law);
    if (law->workers) {
        if (server->free_at[0] > begin) begin = server->free_at[0];
        occupy(server->free_at, law->workers, begin + service);
    }
    return server->since + gnomon_honest_elapsed(law, begin + service);
}
