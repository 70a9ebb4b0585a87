#include "refusal.h"

#include <stdio.h>

static void write_base64(const uint8_t *data, size_t size, char *out) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < size; at += 3) {
        size_t left = size - at;
        uint32_t bits = (uint32_t)data[at] << 16;
        if (left > 1) bits |= (uint32_t)data[at + 1] << 8;
        if (left > 2) bits |= data[at + 2];
        *out++ = letters[bits >> 18];
        *out++ = letters[bits >> 12 & 63];
        if (left > 1) *out++ = letters[bits >> 6 & 63];
        if (left > 2) *out++ = letters[bits & 63];
    }
    *out = 0;
}

void gnomon_refusal_write(struct refusal *refusal, const char *model, const char *limit,
                          double value, double wait_seconds) {
    char details[sizeof refusal->details * 3 / 4 - 2];
    int size = snprintf(details, sizeof details,
                        "[{\"limit\":\"%s\",\"value\":%.17g,\"retry_after_seconds\":%.3f}]", limit,
                        value, wait_seconds);
    if (size < 0 || (size_t)size >= sizeof details) size = 0;
    write_base64((const uint8_t *)details, (size_t)size, refusal->details);
    size = snprintf(refusal->message, sizeof refusal->message,
                    "model %s takes no more for now: %s is %g; try again in %.10g s", model, limit,
                    value, (double)(int64_t)(wait_seconds * 1000 + 0.5) / 1000);
    /* A name of many escapes may not fit; an escape must not be cut. */
    if (size < 0 || (size_t)size >= sizeof refusal->message)
        strcpy(refusal->message, "too much is asked for now; try again later");
}
