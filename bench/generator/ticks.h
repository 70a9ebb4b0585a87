/* Time, and sleeps that end within microseconds of it. Pure functions, for any thread. */
#ifndef GNOMON_TICKS_H
#define GNOMON_TICKS_H

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TICKS_SECOND 1000000000ull
#define TICKS_NEVER UINT64_MAX

/* Nanoseconds since the machine started. */
static inline uint64_t ticks_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * TICKS_SECOND + (uint64_t)time.tv_nsec;
}

/* Nanoseconds of CPU that this thread has used. */
static inline uint64_t ticks_cpu(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * TICKS_SECOND + (uint64_t)time.tv_nsec;
}

/* Let this thread's sleeps end when they are due: Linux may add 50 microseconds to them. */
static inline void ticks_be_exact(void) {
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

/* epoll_wait() with a limit in nanoseconds, for kernels and C libraries of any age. */
static inline int ticks_wait(int epoll, struct epoll_event *events, int room, uint64_t limit) {
#ifdef SYS_epoll_pwait2
    static int is_missing;
    if (!is_missing) {
        /* The kernel's own layout, whatever the C library's is. */
        int64_t time[2] = {(int64_t)(limit / TICKS_SECOND), (int64_t)(limit % TICKS_SECOND)};
        long count = syscall(SYS_epoll_pwait2, epoll, events, room, time, NULL, 0);
        if (count >= 0) return (int)count;
        if (errno == EINTR) return 0;
        is_missing = 1;
    }
#endif
    int count = epoll_wait(epoll, events, room, (int)(limit / 1000000));
    return count < 0 ? 0 : count;
}

#endif
