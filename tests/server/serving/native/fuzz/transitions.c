/* Try every transition of a call of many messages in a process of its own, and print those that a
 * debug build lets pass. Also try to change a state without the lock, and from another thread. */
#include "bidi_state.h"
#include "queue_lock.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct queue queue = {.lock = PTHREAD_MUTEX_INITIALIZER};
static struct loop loop = {.queue = &queue};
static struct streaming streaming;
static struct call call = {.loop = &loop, .streaming = &streaming};

static void set_request(int before, int after) {
    streaming.request = (enum bidi_request)before;
    gnomon_bidi_set_request(&call, (enum bidi_request)after);
}

static void set_response(int before, int after) {
    streaming.response = (enum bidi_response)before;
    gnomon_bidi_set_response(&call, (enum bidi_response)after);
}

static void set_turn(int before, int after) {
    streaming.turn = (enum bidi_turn)before;
    queue_lock(&queue);
    gnomon_bidi_set_turn(&call, (enum bidi_turn)after);
    queue_unlock(&queue);
}

static void set_ending(int before, int after) {
    streaming.ending = (enum bidi_ending)before;
    queue_lock(&queue);
    gnomon_bidi_set_ending(&call, (enum bidi_ending)after);
    queue_unlock(&queue);
}

static void set_unlocked(int before, int after) {
    streaming.turn = (enum bidi_turn)before;
    gnomon_bidi_set_turn(&call, (enum bidi_turn)after);
}

static void *run(void *given) {
    loop.thread = pthread_self();
    loop.is_running = 1;
    return given;
}

static void set_elsewhere(int before, int after) {
    pthread_t thread;
    pthread_create(&thread, NULL, run, NULL);
    /* Not joined, so that its name is not given to another. */
    while (!__atomic_load_n(&loop.is_running, __ATOMIC_ACQUIRE)) usleep(1000);
    set_request(before, after);
}

static void try_all(const char *name, void (*set)(int, int), int states) {
    for (int before = 0; before < states; before++) {
        for (int after = 0; after < states; after++) {
            int status;
            fflush(stdout);
            pid_t child = fork();
            if (!child) {
                if (!freopen("/dev/null", "w", stderr)) _exit(2);
                set(before, after);
                _exit(0);
            }
            waitpid(child, &status, 0);
            if (WIFEXITED(status) && !WEXITSTATUS(status))
                printf("%s %d %d\n", name, before, after);
        }
    }
}

int main(void) {
    try_all("request", set_request, REQUEST_END_TOLD + 1);
    try_all("response", set_response, RESPONSE_RESTING + 1);
    try_all("turn", set_turn, TURN_GONE + 1);
    try_all("ending", set_ending, ENDING_READY + 1);
    try_all("unlocked", set_unlocked, TURN_GONE + 1);
    try_all("elsewhere", set_elsewhere, REQUEST_END_TOLD + 1);
    return 0;
}
