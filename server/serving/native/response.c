/* How a call is answered: headers, trailers, refusals. */
#include "response.h"

#include "call.h"
#include "queue_lock.h"

#include <stdio.h>

static const h2_header ANSWER[] = {H2_HEADER(":status", "200"),
                                   H2_HEADER("content-type", "application/grpc")};

void gnomon_submit_response(struct call *call, const h2_provider *provider) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    struct connection *connection = call->connection;
    call->loop->counts.answered++;
    if (gnomon_h2.submit_response(connection->session, call->stream, ANSWER, 2, provider))
        connection->is_broken = 1;
}

/* Put the call's trailers at `headers`; return how many. */
static size_t list_trailers(const struct call *call, h2_header *headers) {
    for (int index = 0; index < call->trailer_count && index < TRAILERS_LIMIT; index++) {
        const struct trailer *one = &call->trailers[index];
        headers[index] = (h2_header){(uint8_t *)one->name, (uint8_t *)one->value, one->name_size,
                                     one->value_size, 0};
    }
    return (size_t)call->trailer_count;
}

int gnomon_submit_end(struct call *call) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    h2_header headers[TRAILERS_LIMIT];
    size_t count = list_trailers(call, headers);
    return gnomon_h2.submit_trailer(call->connection->session, call->stream, headers, count);
}

void gnomon_submit_trailers(struct call *call, int is_complete) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    struct connection *connection = call->connection;
    static const h2_header allow = H2_HEADER("allow", "POST");
    h2_header headers[3 + TRAILERS_LIMIT];
    char status[4];
    memcpy(headers, ANSWER, sizeof ANSWER);
    size_t count = 2;
    if (call->http_status) {
        snprintf(status, sizeof status, "%d", call->http_status);
        headers[0] = (h2_header){(uint8_t *)":status", (uint8_t *)status, 7, 3, 0};
    }
    if (call->http_status == 405) headers[count++] = allow;
    count += list_trailers(call, headers + count);
    /* Python's threads look at the state of a call of many messages. */
    queue_lock(call->loop->queue);
    call->state = CALL_ANSWERING;
    queue_unlock(call->loop->queue);
    connection->loop->counts.refused++;
    if (gnomon_h2.submit_response(connection->session, call->stream, headers, count, NULL))
        connection->is_broken = 1;
    call->is_cut = !is_complete;
}

void gnomon_call_refuse(struct call *call, enum status status, const char *message,
                        int is_complete) {
    char number[4];
    int size = snprintf(number, sizeof number, "%d", status);
    gnomon_call_add_trailer(call, "grpc-status", 11, number, (size_t)size);
    gnomon_call_add_trailer(call, "grpc-message", 12, message, strlen(message));
    if (status == STATUS_UNIMPLEMENTED)
        gnomon_call_add_trailer(call, "grpc-accept-encoding", 20, "identity,deflate,gzip", 21);
    gnomon_submit_trailers(call, is_complete);
}
