/* Calls of one message each way. All run on the loop, for a call that is no streaming one. */
#ifndef GNOMON_UNARY_H
#define GNOMON_UNARY_H

#include "state.h"

/* More of the request has come; it may be refused by it. 0, or -1 if there is no memory. */
int gnomon_unary_data(struct call *call, const uint8_t *data, size_t size);
/* The request is complete: answer it here, let Python answer it, or refuse it. */
void gnomon_unary_complete(struct call *call);
/* Python has handed the call back: submit its response or its trailers. */
void gnomon_unary_submit(struct call *call);
/* Its stream has ended, and it has left its connection: free it, unless Python has it. */
void gnomon_unary_end(struct call *call);

#endif
