#include "h2_library.h"

#include <dlfcn.h>

struct h2_functions gnomon_h2;

static const char *const NAMES[] = {"libnghttp2.so.14", "libnghttp2.so", "libnghttp2.14.dylib"};

const char *gnomon_h2_load(void) {
    static void *library;
    if (library) return NULL;
    void *found = NULL;
    for (size_t index = 0; index < sizeof NAMES / sizeof *NAMES && !found; index++)
        found = dlopen(NAMES[index], RTLD_NOW | RTLD_LOCAL);
    if (!found) return "libnghttp2.so.14 was not found";
#define H2_RESOLVE(result, name, arguments)                                                        \
    *(void **)&gnomon_h2.name = dlsym(found, "nghttp2_" #name);                                    \
    if (!gnomon_h2.name) return "libnghttp2 has no function nghttp2_" #name;
    H2_FUNCTIONS(H2_RESOLVE)
    library = found;
    return NULL;
}
