/* What other threads hand to a loop: one signal and one set of lists for all kinds.
 *
 * The rule that no kind may break: who hands over adds to a list under the queue's lock, and
 * signals afterwards; the loop clears the signal first, and takes the lists afterwards. If it took
 * a list first, what is added before the signal is cleared would wait, with no signal left, until
 * something else wakes the loop, which may be never. `gnomon_handover_take` is the only place that
 * takes. */
#include "handover.h"

#include "poller.h"
#include "queue_lock.h"

#include <sys/eventfd.h>
#include <unistd.h>

int gnomon_handover_open(struct loop *loop) {
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake < 0) return -1;
    poller_watch(loop, EPOLL_CTL_ADD, loop->wake, EPOLLIN, &loop->wake);
    return 0;
}

void gnomon_handover_add_arrival(struct loop *loop, struct arrival *arrival) {
    GNOMON_ASSERT_LOCKED(loop->queue);
    arrival->next = loop->handed.arrivals;
    loop->handed.arrivals = arrival;
}

void gnomon_handover_add_done(struct loop *loop, struct call *call) {
    GNOMON_ASSERT_LOCKED(loop->queue);
    call->next = loop->handed.done;
    loop->handed.done = call;
}

void gnomon_handover_add_news(struct loop *loop, struct call *call) {
    GNOMON_ASSERT_LOCKED(loop->queue);
    if (call->streaming->has_news) return;
    call->streaming->has_news = 1;
    call->streaming->next_news = loop->handed.news;
    loop->handed.news = call;
}

void gnomon_handover_signal(struct loop *loop) {
    uint64_t one = 1;
    /* A counter that is full wakes the loop as well. */
    ssize_t written = write(loop->wake, &one, sizeof one);
    (void)written;
}

static void clear_signal(struct loop *loop) {
    uint64_t count;
    ssize_t size = read(loop->wake, &count, sizeof count);
    (void)size;
}

struct handed gnomon_handover_take(struct loop *loop) {
    GNOMON_ASSERT_ON_LOOP(loop);
    clear_signal(loop);
    queue_lock(loop->queue);
    struct handed taken = loop->handed;
    loop->handed.arrivals = NULL;
    loop->handed.done = loop->handed.news = NULL;
    queue_unlock(loop->queue);
    return taken;
}
