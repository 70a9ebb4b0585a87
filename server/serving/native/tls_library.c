#include "tls_library.h"

#include <dlfcn.h>

struct tls_functions gnomon_tls;

static const char *const NAMES[] = {"libssl.so.3", "libssl.3.dylib"};

const char *gnomon_tls_load(void) {
    static void *library;
    if (library) return NULL;
    void *found = NULL;
    for (size_t index = 0; index < sizeof NAMES / sizeof *NAMES && !found; index++)
        found = dlopen(NAMES[index], RTLD_NOW | RTLD_LOCAL);
    if (!found) return "libssl.so.3 was not found";
    /* What is libcrypto's is found through libssl, which depends on it. */
#define TLS_RESOLVE(result, name, arguments)                                                       \
    *(void **)&gnomon_tls.name = dlsym(found, #name);                                              \
    if (!gnomon_tls.name) return "libssl.so.3 has no function " #name;
    TLS_FUNCTIONS(TLS_RESOLVE)
    library = found;
    return NULL;
}
