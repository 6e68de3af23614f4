// SPDX-License-Identifier: Apache-2.0
// The other ends: every open connection, so that one that closes while its request waits is noticed (a
// suspended connection of libmicrohttpd is not watched), and one that dawdles is cut. Used by the event
// loop's thread only.
#ifndef EL_SERVE_PEER_H
#define EL_SERVE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/embed.h"

struct el_exchange;

struct el_peer {
    struct el_peer *previous, *next;
    struct el_exchange *exchange; // the request on its way, or NULL
    int fd;                       // libmicrohttpd's
    bool left;                    // it has closed its side
    uint64_t idle_since_ns;
    struct el_promise promise; // its exchange's
};

struct el_peers {
    struct el_peer *first;
    size_t count;
    int epoll_fd; // events of leaving arrive here, with the peer as data
};

// NULL when there is no memory or epoll refuses; the connection then lives unwatched.
struct el_peer *el_peer_open(struct el_peers *peers, int fd);
void el_peer_close(struct el_peers *peers, struct el_peer *peer);

// The epoll event of a peer: it is gone, and so is its wish.
void el_peer_leave(struct el_peer *peer);

// Cuts the connections that are idle for too long or send their request too slowly; `idle_too`: all idle
// ones.
void el_peers_sweep(struct el_peers *peers, bool idle_too);

#endif
