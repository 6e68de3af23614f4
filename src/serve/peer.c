// SPDX-License-Identifier: Apache-2.0
// The other ends. A peer's socket is registered once in an epoll set of ours, for the one event that
// libmicrohttpd does not see while a connection is suspended: that the client has closed.
#include "serve/peer.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/thread.h"
#include "serve/exchange.h"

#define SECOND_NS UINT64_C(1000000000)
#define IDLE_LIMIT_NS (75 * SECOND_NS) // without a request; the request's header must be complete by then
#define BODY_GRACE_NS (10 * SECOND_NS) // a body may take this long, and one second more
#define BODY_BYTES_A_SECOND 1024       // for so many bytes that came

struct el_peer *el_peer_open(struct el_peers *peers, int fd) {
    struct el_peer *peer;
    if (el_zalloc(1, sizeof *peer, &peer) < 0) return NULL;
    *peer = (struct el_peer){.fd = fd, .next = peers->first, .idle_since_ns = el_now_ns()};
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = peer};
    if (epoll_ctl(peers->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        el_free(peer);
        return NULL;
    }
    if (peers->first) peers->first->previous = peer;
    peers->first = peer;
    peers->count++;
    return peer;
}

void el_peer_close(struct el_peers *peers, struct el_peer *peer) {
    if (!peer) return;
    epoll_ctl(peers->epoll_fd, EPOLL_CTL_DEL, peer->fd, NULL);
    if (peer->next) peer->next->previous = peer->previous;
    if (peer->previous)
        peer->previous->next = peer->next;
    else
        peers->first = peer->next;
    peers->count--;
    el_free(peer);
}

void el_peer_leave(struct el_peer *peer) {
    peer->left = true;
    if (peer->exchange) el_exchange_cancel(peer->exchange);
}

static bool dawdles(const struct el_peer *peer, uint64_t now, bool idle_too) {
    const struct el_exchange *exchange = peer->exchange;
    if (!exchange) return idle_too || now - peer->idle_since_ns > IDLE_LIMIT_NS;
    if (exchange->phase != EL_READING && exchange->phase != EL_DISCARDING) return false;
    uint64_t earned = exchange->received / BODY_BYTES_A_SECOND * SECOND_NS;
    return now - exchange->began_ns > BODY_GRACE_NS + earned;
}

void el_peers_sweep(struct el_peers *peers, bool idle_too) {
    uint64_t now = el_now_ns();
    for (struct el_peer *peer = peers->first; peer; peer = peer->next)
        if (dawdles(peer, now, idle_too)) shutdown(peer->fd, SHUT_RDWR); // libmicrohttpd then closes it
}
