/* What nghttp2 lets pass, though HTTP/2 forbids it: it forgets streams that were closed, and does
 * not look at frames about priorities if they were declined (RFC 9113, 5.1 and 6.3; RFC 7540,
 * 5.3.1). */
#ifndef GNOMON_FRAME_SCAN_H
#define GNOMON_FRAME_SCAN_H

#include "state.h"

/* On the loop, of a new connection. */
void gnomon_frames_begin(struct connection *connection);
/* On the loop: look at the heads of the frames in what was read, before nghttp2 gets it. */
void gnomon_frames_scan(struct connection *connection, const uint8_t *data, size_t size);
/* On the loop, after nghttp2 got it: tell the client what was wrong. 0, or nghttp2's error. */
int gnomon_frames_answer(struct connection *connection);

#endif
