#include "h2_library.h"

#include "h2_open.h"

struct h2_functions gnomon_h2;

const char *gnomon_h2_load(void) {
    static void *library;
    if (library) return NULL;
    void *found = gnomon_h2_open();
    if (!found) return GNOMON_H2_MISSING;
#define H2_RESOLVE(result, name, arguments)                                                        \
    *(void **)&gnomon_h2.name = dlsym(found, "nghttp2_" #name);                                    \
    if (!gnomon_h2.name) return "libnghttp2 has no function nghttp2_" #name;
    H2_FUNCTIONS(H2_RESOLVE)
    library = found;
    return NULL;
}
