/* Which answer a path gets, and when. */
#include "honest_queue.h"
#include "honest_state.h"

const struct honest_answer *gnomon_honest_find(const struct honest *server, const uint8_t *path,
                                               size_t size) {
    const struct honest_answer *last = server->answers + server->answer_count - 1;
    for (const struct honest_answer *one = server->answers; one < last; one++)
        if (one->path.size == size && !memcmp(one->path.data, path, size)) return one;
    return last;
}

int gnomon_honest_answer(struct honest_client *client, int32_t stream,
                         const struct honest_answer *answer) {
    client->server->answered++;
    return client->answer(client, stream, answer);
}

int gnomon_honest_request(struct honest_client *client, int32_t stream,
                          const struct honest_answer *answer) {
    struct honest *server = client->server;
    if (!answer->is_delayed) return gnomon_honest_answer(client, stream, answer);
    struct honest_due due = {gnomon_honest_due_at(server, server->now), client, answer, stream};
    client->pending++;
    return gnomon_honest_push(server, due);
}
