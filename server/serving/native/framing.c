/* gRPC's framing of messages, and the forms of its headers. */
#include "framing.h"

size_t gnomon_message_size(const uint8_t *prefix) {
    return (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 | prefix[4];
}

int gnomon_is_grpc(const uint8_t *type, size_t size) {
    static const char grpc[] = "application/grpc";
    size_t length = sizeof grpc - 1;
    return size >= length && !memcmp(type, grpc, length) &&
           (size == length || type[length] == '+' || type[length] == ';');
}

uint64_t gnomon_read_timeout(const uint8_t *text, size_t size) {
    static const char units[] = "HMSmun";
    static const uint64_t lengths[] = {3600000000000, 60000000000, 1000000000, 1000000, 1000, 1};
    uint64_t number = 0;
    if (size < 2 || size > 9) return 0;
    for (size_t index = 0; index < size - 1; index++) {
        if (text[index] < '0' || text[index] > '9') return 0;
        number = number * 10 + (text[index] - '0');
    }
    const char *unit = strchr(units, text[size - 1]);
    if (!unit || !*unit) return 0;
    uint64_t length = number * lengths[unit - units];
    return length ? length : 1;
}

const char *gnomon_message_fault(const struct call *call, const uint8_t *prefix,
                                 enum status *status) {
    *status = STATUS_INVALID_ARGUMENT;
    if (prefix[0] > 1) return "the message's first byte must be 0 or 1";
    if (prefix[0] == 0) return NULL;
    *status = STATUS_UNIMPLEMENTED;
    if (call->encoding == ENCODING_OTHER) return "the message's compression is not known here";
    *status = STATUS_INTERNAL;
    if (call->encoding == ENCODING_IDENTITY)
        return "the message is compressed, but no encoding is named";
    return NULL;
}
