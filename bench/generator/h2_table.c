#include "h2_table.h"

#include "../../server/serving/native/h2_open.h"

struct h2_table gnomon_h2_table;

const char *gnomon_h2_table_load(void) {
    static void *library;
    if (library) return NULL;
    void *found = gnomon_h2_open();
    if (!found) return GNOMON_H2_MISSING;
#define H2_TABLE_RESOLVE(result, name, arguments)                                                  \
    *(void **)&gnomon_h2_table.name = dlsym(found, "nghttp2_" #name);                              \
    if (!gnomon_h2_table.name) return "libnghttp2 has no function nghttp2_" #name;
    H2_TABLE(H2_TABLE_RESOLVE)
    library = found;
    return NULL;
}
