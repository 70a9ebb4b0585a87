/* Where libnghttp2 is found at run time; each table of functions resolves its own. */
#ifndef GNOMON_H2_OPEN_H
#define GNOMON_H2_OPEN_H

#include <dlfcn.h>
#include <stddef.h>

#define GNOMON_H2_MISSING "libnghttp2.so.14 was not found"

/* The library, or NULL; it stays open. Any thread. */
static inline void *gnomon_h2_open(void) {
    static const char *const names[] = {"libnghttp2.so.14", "libnghttp2.so", "libnghttp2.14.dylib"};
    void *found = NULL;
    for (size_t index = 0; index < sizeof names / sizeof *names && !found; index++)
        found = dlopen(names[index], RTLD_NOW | RTLD_LOCAL);
    return found;
}

#endif
