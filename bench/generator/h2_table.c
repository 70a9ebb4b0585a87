#include "h2_table.h"

#include <dlfcn.h>

struct h2_table gnomon_h2_table;

static const char *const NAMES[] = {"libnghttp2.so.14", "libnghttp2.so", "libnghttp2.14.dylib"};

const char *gnomon_h2_table_load(void) {
    static void *library;
    if (library) return NULL;
    void *found = NULL;
    for (size_t index = 0; index < sizeof NAMES / sizeof *NAMES && !found; index++)
        found = dlopen(NAMES[index], RTLD_NOW | RTLD_LOCAL);
    if (!found) return "libnghttp2.so.14 was not found";
#define H2_TABLE_RESOLVE(result, name, arguments)                                                  \
    *(void **)&gnomon_h2_table.name = dlsym(found, "nghttp2_" #name);                              \
    if (!gnomon_h2_table.name) return "libnghttp2 has no function nghttp2_" #name;
    H2_TABLE(H2_TABLE_RESOLVE)
    library = found;
    return NULL;
}
