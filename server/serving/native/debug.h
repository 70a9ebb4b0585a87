/* Assertions of debug builds (GNOMON_DEBUG=1); nothing in others. */
#ifndef GNOMON_DEBUG_H
#define GNOMON_DEBUG_H

#ifdef GNOMON_DEBUG

#include <stdio.h>
#include <stdlib.h>

#define GNOMON_ASSERT(condition)                                                                   \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s does not hold: %s\n", __FILE__, __LINE__, #condition,       \
                    __func__);                                                                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The queue's lock is held by this thread. */
#define GNOMON_ASSERT_LOCKED(queue)                                                                \
    GNOMON_ASSERT((queue)->is_held &&pthread_equal((queue)->holder, pthread_self()))
/* This is the loop's thread, or the loop does not run. */
#define GNOMON_ASSERT_ON_LOOP(loop)                                                                \
    GNOMON_ASSERT(!(loop)->is_running || pthread_equal((loop)->thread, pthread_self()))

#else

#define GNOMON_ASSERT(condition) ((void)0)
#define GNOMON_ASSERT_LOCKED(queue) ((void)0)
#define GNOMON_ASSERT_ON_LOOP(loop) ((void)0)

#endif

#endif
