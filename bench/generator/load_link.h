/* Connections to the server. On the loop's thread. */
#ifndef GNOMON_LOAD_LINK_H
#define GNOMON_LOAD_LINK_H

#include "load_state.h"

/* Begin to connect a link that is down. */
void gnomon_link_connect(struct load_link *link);
/* Whether a request can be sent on it now. */
int gnomon_link_has_room(const struct load_link *link);
/* Send a request that was due at `due`; it is on its way once the link is flushed. */
void gnomon_link_submit(struct load_link *link, uint64_t due, int has_waited);
/* Let the loop look whether requests are owed. */
void gnomon_link_wake(struct load_link *link);
/* Attend to what epoll says. */
void gnomon_link_attend(struct load_link *link, uint32_t events);
/* Write what is to be sent on all links that have something. */
void gnomon_links_flush(struct load *load);
/* Close a link; its requests are lost. */
void gnomon_link_break(struct load_link *link);
/* End requests that have waited longer than the time limit. */
void gnomon_link_check_time(struct load_link *link);

#endif
