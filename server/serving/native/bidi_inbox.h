/* What a client of a call of many messages has sent, and Python was not shown yet. All run on the
 * loop, for a call that has a connection. */
#ifndef GNOMON_BIDI_INBOX_H
#define GNOMON_BIDI_INBOX_H

#include "state.h"

enum { INBOX_FAULT_BYTES = 96 };

/* Move the next message to the call's `body`. 1: it is there; 0: none is whole, or the connection
 * is marked as broken, since there is no memory; -1: it is refused, with a status and a text. */
int gnomon_inbox_take(struct call *call, enum status *status, char fault[INBOX_FAULT_BYTES]);
/* Drop what has come. */
void gnomon_inbox_forget(struct call *call);
/* Open the client's window again for what was taken. */
void gnomon_inbox_open_window(struct call *call);

#endif
