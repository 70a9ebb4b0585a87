/* gRPC's framing of messages, and the forms of its headers. Pure functions, for any thread. */
#ifndef GNOMON_FRAMING_H
#define GNOMON_FRAMING_H

#include "state.h"

/* The length of the message behind a prefix of PREFIX_BYTES. */
size_t gnomon_message_size(const uint8_t *prefix);
/* Why a message with this prefix is refused, and with which status; NULL if it is not. */
const char *gnomon_message_fault(const struct call *call, const uint8_t *prefix,
                                 enum status *status);
/* Nanoseconds of a `grpc-timeout`: at most 8 digits and a unit. 0 if it is none. */
uint64_t gnomon_read_timeout(const uint8_t *text, size_t size);
/* Whether a content type is gRPC's. */
int gnomon_is_grpc(const uint8_t *type, size_t size);

#endif
