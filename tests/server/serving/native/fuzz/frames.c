/* The whole loop under frames that are almost right, with a thread that answers as Python does.
 *
 * usage: frames SECONDS SEED FILE…  (files: what a client says on one connection) */
#include "accept.h"
#include "call.h"
#include "call_queue.h"
#include "event_loop.h"
#include "mutation.h"
#include "servicer.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PREFACE_BYTES = 24, HEAD_BYTES = 9 };

static const uint8_t ANSWER[] = {0, 0, 0, 0, 3, 'y', 'e', 's'};
static struct queue queue;
static unsigned long answers, refusals, messages;

/* Of both threads that answer. */
static void count(unsigned long *number) {
    __atomic_fetch_add(number, 1, __ATOMIC_RELAXED);
}

/* What C answers by itself: by the first byte, anything may be the verdict. */
static enum verdict answer(void *context, struct exchange *exchange) {
    (void)context;
    exchange->position = POSITION_NONE;
    if (!exchange->message.size || exchange->message.data[0] % 3 == 0) return VERDICT_DECLINED;
    if (exchange->message.data[0] % 3 == 1) {
        snprintf(exchange->refusal.message, sizeof exchange->refusal.message, "too much");
        snprintf(exchange->refusal.details, sizeof exchange->refusal.details, "W10");
        return VERDICT_REFUSED;
    }
    exchange->out->size = 0;
    if (buffer_append(exchange->out, ANSWER, sizeof ANSWER)) return VERDICT_DECLINED;
    return VERDICT_ANSWERED;
}

static void turn_streaming(struct call *call) {
    count(&messages);
    if (gnomon_servicer_is_over(call)) {
        gnomon_servicer_leave(call, 0);
    } else if (call->body.size && gnomon_servicer_send(call, ANSWER + 5, 3) == SENT) {
        gnomon_servicer_give_turn(call);
    } else {
        int is_mine = gnomon_servicer_claim(call);
        if (is_mine) gnomon_call_add_trailer(call, "grpc-status", 11, "0", 1);
        gnomon_servicer_leave(call, is_mine);
    }
}

static void *work(void *unused) {
    struct call *call;
    (void)unused;
    while ((call = gnomon_queue_take(&queue))) {
        if (call->streaming) {
            turn_streaming(call);
            continue;
        }
        if (call->body.size % 2) {
            gnomon_call_add_trailer(call, "grpc-status", 11, "3", 1);
            count(&refusals);
        } else {
            call->response.size = 0;
            buffer_append(&call->response, ANSWER, sizeof ANSWER);
            count(&answers);
        }
        gnomon_queue_give_back(call);
    }
    return NULL;
}

static void *serve(void *loop) {
    gnomon_loop_run(loop);
    return NULL;
}

static size_t frame_size(const struct bytes *bytes, size_t at) {
    const uint8_t *head = bytes->data + at;
    if (bytes->size - at < HEAD_BYTES) return bytes->size - at;
    size_t size = HEAD_BYTES + ((size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2]);
    return size < bytes->size - at ? size : bytes->size - at;
}

/* Frame by frame: leave out, double, exchange, or change type, flags, stream, length or payload. */
static void mutate_frames(const struct bytes *from, struct bytes *out) {
    out->size = 0;
    append(out, from->data, from->size < PREFACE_BYTES ? from->size : PREFACE_BYTES);
    for (size_t at = PREFACE_BYTES, size; at < from->size; at += size) {
        size = frame_size(from, at);
        uint64_t fate = chance(20);
        if (fate == 0) continue;
        size_t start = out->size;
        append(out, from->data + at, size);
        if (out->size - start < HEAD_BYTES) continue;
        uint8_t *head = out->data + start;
        switch (fate) {
        case 1: append(out, from->data + at, size); break;
        case 2: head[3] = (uint8_t)chance(11); break;
        case 3: head[4] = (uint8_t)chance(256); break;
        case 4: head[8] = (uint8_t)chance(12); break;
        case 5: head[2] = (uint8_t)chance(256); break;
        case 6:
            if (size > HEAD_BYTES) head[HEAD_BYTES + chance(size - HEAD_BYTES)] ^= 1 << chance(8);
            break;
        case 7: out->size = start + chance(size + 1); break;
        case 8: {
            const struct bytes *other = &seeds[chance((uint64_t)seed_count)];
            if (other->size > PREFACE_BYTES)
                append(out, other->data + PREFACE_BYTES, frame_size(other, PREFACE_BYTES));
            break;
        }
        }
    }
}

/* Say it all in pieces, as TCP may bring it; read what comes, or do not. */
static void talk(const struct sockaddr_in *address, const struct bytes *bytes) {
    static uint8_t heard[1 << 16];
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (client < 0 || connect(client, (const struct sockaddr *)address, sizeof *address))
        fail("the loop does not listen any more");
    size_t at = 0;
    while (at < bytes->size) {
        size_t size = chance(4) ? bytes->size - at : 1 + chance(bytes->size - at);
        ssize_t sent = send(client, bytes->data + at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0) break;
        at += (size_t)sent;
    }
    struct pollfd ready = {client, POLLIN, 0};
    for (int turn = (int)chance(4); turn && poll(&ready, 1, 2) > 0; turn--)
        if (recv(client, heard, sizeof heard, MSG_DONTWAIT) <= 0) break;
    close(client);
}

static struct loop *open_loop(struct sockaddr_in *address) {
    static const struct limits limits = {.message_bytes = 1 << 14,
                                         .header_bytes = 1 << 12,
                                         .connection_bytes = 1 << 17,
                                         .total_bytes = 1 << 20,
                                         .concurrent_streams = 16,
                                         .connections = 64,
                                         .header_seconds = 0.5,
                                         .idle_seconds = 1.0};
    socklen_t size = sizeof *address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (gnomon_h2_load() || bind(listener, (struct sockaddr *)address, size) ||
        listen(listener, 64) || getsockname(listener, (struct sockaddr *)address, &size) ||
        gnomon_queue_init(&queue, 32))
        fail("no loop can be opened");
    queue.loops = 1;
    return gnomon_loop_new(listener, &limits, &queue, "/fuzz/Stream\0", answer, NULL);
}

int main(int given, char **arguments) {
    static struct bytes bytes;
    struct sockaddr_in address;
    pthread_t server, workers[2];
    unsigned long turns = 0;
    if (given < 4) return 2;
    chance_state = strtoull(arguments[2], NULL, 10) | 1;
    for (int index = 3; index < given; index++) read_seed(arguments[index]);
    struct loop *loop = open_loop(&address);
    if (!loop) fail("no loop");
    pthread_create(&server, NULL, serve, loop);
    for (int index = 0; index < 2; index++) pthread_create(&workers[index], NULL, work, NULL);
    time_t until = time(NULL) + atol(arguments[1]);
    do {
        struct bytes *seed = &seeds[chance((uint64_t)seed_count)];
        mutate_frames(seed, &bytes);
        if (chance(4) == 0) mutate_blindly(&bytes);
        /* Sometimes as it was, so that calls get all the way through. */
        talk(&address, chance(8) ? &bytes : seed);
    } while (++turns % 16 || time(NULL) < until);
    gnomon_loop_drain(loop, 1000000000);
    pthread_join(server, NULL);
    for (int index = 0; index < 2; index++) pthread_join(workers[index], NULL);
    if (loop->held || loop->connection_count) fail("bytes or connections are left over");
    printf("%lu connections, %lu answers, %lu refusals, %lu messages of streams, %lu in C\n", turns,
           answers, refusals, messages, (unsigned long)loop->counts.answered);
    gnomon_loop_free(loop);
    return 0;
}
