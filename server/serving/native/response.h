/* How a call is answered: headers, trailers, refusals. All run on the loop, for a call that has a
 * connection; if nghttp2 has no memory, they mark the connection as broken. What is submitted is
 * sent when the connection is flushed. */
#ifndef GNOMON_RESPONSE_H
#define GNOMON_RESPONSE_H

#include "state.h"

/* Submit the headers, and messages that `provider` reads; its last must call
 * `gnomon_submit_end`. */
void gnomon_submit_response(struct call *call, const h2_provider *provider);
/* Submit headers and the call's trailers, with no message. `is_complete`: the client has sent its
 * whole request; else its stream is reset once the trailers are out. */
void gnomon_submit_trailers(struct call *call, int is_complete);
/* Submit the call's trailers behind its messages. 0, or nghttp2's error. */
int gnomon_submit_end(struct call *call);
/* End a call with gRPC's status and message; `is_complete` as for `gnomon_submit_trailers`. */
void gnomon_call_refuse(struct call *call, enum status status, const char *message,
                        int is_complete);

#endif
