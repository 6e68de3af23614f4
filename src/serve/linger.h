// SPDX-License-Identifier: Apache-2.0
// Closing politely on a client that is refused while it still sends. To close at once would reset the
// connection, and the client would see that instead of the refusal. So the socket is kept, read and its bytes
// thrown away, until the client closes or some seconds are over.
#ifndef EL_SERVE_LINGER_H
#define EL_SERVE_LINGER_H

#include <stdbool.h>
#include <stdint.h>

enum { EL_LINGERERS = 32 }; // more than these are closed at once

struct el_lingerer {
    int fd; // 0: free
    uint64_t until_ns;
};

struct el_lingerers {
    struct el_lingerer slot[EL_LINGERERS];
    int epoll_fd; // events arrive here, with the slot as data
};

// Keeps a duplicate of `fd`, which libmicrohttpd is about to close. Quietly does nothing when it cannot.
void el_linger(struct el_lingerers *lingerers, int fd);

// True when `tag` of an epoll event is one of the slots; its bytes are then read.
bool el_linger_read(struct el_lingerers *lingerers, void *tag);

void el_linger_sweep(struct el_lingerers *lingerers, bool all); // closes those whose time is over, or all

#endif
