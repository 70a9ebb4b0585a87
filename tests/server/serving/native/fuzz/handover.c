/* Bursts of new connections to a ring of loops, with delays where one thread hands over to another:
 * before and after a loop reads its signal, and before it takes a lock. Every call must be answered,
 * and every loop must end once it is drained.
 *
 * usage: handover SECONDS SEED FILE…  (files: what a client says on one connection; a call on
 * stream 1). Linked with `--wrap=read,--wrap=pthread_mutex_lock`. */
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

enum {
    LOOPS = 3,
    WORKERS = 2,
    CLIENTS = 24,
    HEAD_BYTES = 9,
    HEADERS = 1,
    GOAWAY = 7,
    END_STREAM = 1,
    /* Much longer than any delay, much shorter than what a client of gRPC waits. */
    PATIENCE_MS = 3000,
};

static const uint8_t ANSWER[] = {0, 0, 0, 0, 3, 'y', 'e', 's'};
static unsigned long answered, drained, cut;
static _Thread_local int is_loop;
static _Thread_local uint64_t luck;

static void delay(uint64_t microseconds) {
    struct timespec time = {0, (long)microseconds * 1000};
    nanosleep(&time, NULL);
}

static uint64_t draw(uint64_t below) {
    if (!luck) luck = (uint64_t)(uintptr_t)&luck | 1;
    luck ^= luck << 13;
    luck ^= luck >> 7;
    luck ^= luck << 17;
    return luck % below;
}

ssize_t __real_read(int descriptor, void *data, size_t size);
int __real_pthread_mutex_lock(pthread_mutex_t *lock);

/* A loop reads nothing but its signal in this way. */
ssize_t __wrap_read(int descriptor, void *data, size_t size) {
    if (is_loop) delay(1000 + draw(3000));
    ssize_t count = __real_read(descriptor, data, size);
    if (is_loop) delay(draw(2000));
    return count;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *lock) {
    if (is_loop && draw(16) == 0) delay(draw(500));
    return __real_pthread_mutex_lock(lock);
}

static enum verdict answer(void *context, struct exchange *exchange) {
    (void)context;
    exchange->position = POSITION_NONE;
    if (exchange->message.data[0]) return VERDICT_DECLINED;
    exchange->out->size = 0;
    if (buffer_append(exchange->out, ANSWER, sizeof ANSWER)) fail("no memory");
    return VERDICT_ANSWERED;
}

static void turn_streaming(struct call *call) {
    if (gnomon_servicer_is_over(call)) {
        gnomon_servicer_leave(call, 0);
    } else if (call->body.size) {
        gnomon_servicer_send(call, ANSWER + 5, 3);
        gnomon_servicer_give_turn(call);
    } else {
        int is_mine = gnomon_servicer_claim(call);
        if (is_mine) gnomon_call_add_trailer(call, "grpc-status", 11, "0", 1);
        gnomon_servicer_leave(call, is_mine);
    }
}

static void *work(void *queue) {
    struct call *call;
    while ((call = gnomon_queue_take(queue))) {
        if (call->streaming) {
            turn_streaming(call);
            continue;
        }
        call->response.size = 0;
        if (buffer_append(&call->response, ANSWER, sizeof ANSWER)) fail("no memory");
        gnomon_queue_give_back(call);
    }
    return NULL;
}

static void *serve(void *loop) {
    is_loop = 1;
    gnomon_loop_run(loop);
    return NULL;
}

static int listen_somewhere(struct sockaddr_in *address) {
    socklen_t size = sizeof *address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (gnomon_h2_load() || bind(listener, (struct sockaddr *)address, size) ||
        listen(listener, 128) || getsockname(listener, (struct sockaddr *)address, &size))
        fail("no socket");
    return listener;
}

static int call_somewhere(const struct sockaddr_in *address, const struct bytes *said) {
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (client < 0) fail("no socket");
    if (connect(client, (const struct sockaddr *)address, sizeof *address)) {
        close(client);
        return -1;
    }
    if (send(client, said->data, said->size, MSG_NOSIGNAL) != (ssize_t)said->size) cut++;
    return client;
}

enum outcome { OUTCOME_ANSWERED, OUTCOME_LEFT, OUTCOME_SILENCE };

static int read_whole(int client, uint8_t *data, size_t size) {
    size_t at = 0;
    while (at < size) {
        struct pollfd ready = {client, POLLIN, 0};
        if (poll(&ready, 1, PATIENCE_MS) != 1) return 0;
        ssize_t count = recv(client, data + at, size - at, 0);
        if (count <= 0) return -1;
        at += (size_t)count;
    }
    return 1;
}

/* Read frames until stream 1 ends with its trailers, or the loop leaves. */
static enum outcome hear(int client) {
    static uint8_t payload[1 << 16];
    uint8_t head[HEAD_BYTES];
    for (;;) {
        int result = read_whole(client, head, sizeof head);
        size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (result == 1 && size > sizeof payload) fail("a frame is too long");
        if (result == 1) result = read_whole(client, payload, size);
        if (result != 1) return result ? OUTCOME_LEFT : OUTCOME_SILENCE;
        if (head[3] == HEADERS && head[4] & END_STREAM) return OUTCOME_ANSWERED;
    }
}

static void burst(const struct sockaddr_in *address, int is_ending) {
    int clients[CLIENTS];
    for (int index = 0; index < CLIENTS; index++) {
        clients[index] = call_somewhere(address, &seeds[chance((uint64_t)seed_count)]);
        if (clients[index] < 0 && !is_ending) fail("the loop does not listen");
        delay(chance(800));
    }
    for (int index = 0; index < CLIENTS; index++) {
        if (clients[index] < 0) continue;
        enum outcome outcome = hear(clients[index]);
        if (outcome == OUTCOME_SILENCE) fail("a connection was never answered");
        if (outcome == OUTCOME_LEFT && !is_ending) fail("a connection was left");
        if (outcome == OUTCOME_ANSWERED) answered++;
        close(clients[index]);
    }
}

struct ring {
    struct queue queue;
    struct loop *loops[LOOPS];
    pthread_t servers[LOOPS], workers[WORKERS];
};

static void ring_open(struct ring *ring, struct sockaddr_in *address) {
    static const struct limits limits = {.message_bytes = 1 << 14,
                                         .header_bytes = 1 << 12,
                                         .connection_bytes = 1 << 17,
                                         .total_bytes = 1 << 20,
                                         .concurrent_streams = 16,
                                         .connections = 4 * CLIENTS,
                                         .header_seconds = 60,
                                         .idle_seconds = 60};
    int listener = listen_somewhere(address);
    if (gnomon_queue_init(&ring->queue, 4 * CLIENTS)) fail("no queue");
    ring->queue.loops = LOOPS;
    for (int index = 0; index < LOOPS; index++) {
        struct loop *loop = gnomon_loop_new(index ? -1 : listener, &limits, &ring->queue,
                                            "/fuzz/Stream\0", answer, NULL);
        if (!loop) fail("no loop");
        ring->loops[index] = loop;
        if (index) gnomon_loop_join(loop, ring->loops[0]);
    }
    for (int index = 0; index < LOOPS; index++)
        pthread_create(&ring->servers[index], NULL, serve, ring->loops[index]);
    for (int index = 0; index < WORKERS; index++)
        pthread_create(&ring->workers[index], NULL, work, &ring->queue);
}

static void *drain(void *argument) {
    struct ring *ring = argument;
    delay(draw(8000));
    gnomon_loop_drain(ring->loops[0], 2000000000);
    delay(draw(2000));
    gnomon_loop_drain(ring->loops[1], 2000000000);
    for (int index = 0; index < 2; index++) pthread_join(ring->servers[index], NULL);
    return NULL;
}

static void ring_close(struct ring *ring, const struct sockaddr_in *address) {
    pthread_t draining;
    /* A loop that has ended is handed nothing, though it has the fewest connections. */
    gnomon_loop_drain(ring->loops[2], 0);
    pthread_join(ring->servers[2], NULL);
    burst(address, 0);
    pthread_create(&draining, NULL, drain, ring);
    burst(address, 1);
    pthread_join(draining, NULL);
    for (int index = 0; index < WORKERS; index++) pthread_join(ring->workers[index], NULL);
    for (int index = 0; index < LOOPS; index++) {
        struct loop *loop = ring->loops[index];
        if (loop->held || loop->connection_count) fail("bytes or connections are left over");
        if (loop->load) fail("connections were handed to a loop that had ended");
    }
    for (int index = 0; index < LOOPS; index++) gnomon_loop_free(ring->loops[index]);
    gnomon_queue_destroy(&ring->queue);
    drained++;
}

int main(int given, char **arguments) {
    static struct ring ring;
    struct sockaddr_in address;
    if (given < 4) return 2;
    chance_state = strtoull(arguments[2], NULL, 10) | 1;
    for (int index = 3; index < given; index++) read_seed(arguments[index]);
    time_t until = time(NULL) + atol(arguments[1]);
    do {
        ring_open(&ring, &address);
        for (int turn = 0; turn < 3; turn++) burst(&address, 0);
        ring_close(&ring, &address);
    } while (time(NULL) < until);
    printf("%lu answered, %lu rings drained, %lu cut\n", answered, drained, cut);
    return 0;
}
