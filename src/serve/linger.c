// SPDX-License-Identifier: Apache-2.0
// Reading on from clients that are refused.
#include "serve/linger.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/thread.h"

#define LINGER_NS UINT64_C(5000000000)
enum { READ_AT_ONCE = 1 << 20 }; // bytes of one socket, before others get their turn

static void let_go(struct el_lingerer *lingerer) {
    close(lingerer->fd);
    lingerer->fd = 0;
}

void el_linger(struct el_lingerers *lingerers, int fd) {
    for (struct el_lingerer *slot = lingerers->slot; slot < lingerers->slot + EL_LINGERERS; slot++) {
        if (slot->fd) continue;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = slot};
        int copy = dup(fd);
        if (copy <= 0) return;
        *slot = (struct el_lingerer){copy, el_now_ns() + LINGER_NS};
        if (epoll_ctl(lingerers->epoll_fd, EPOLL_CTL_ADD, copy, &event) < 0) let_go(slot);
        return;
    }
}

bool el_linger_read(struct el_lingerers *lingerers, void *tag) {
    char *start = (char *)lingerers->slot, *end = (char *)(lingerers->slot + EL_LINGERERS);
    if ((char *)tag < start || (char *)tag >= end) return false;
    struct el_lingerer *lingerer = tag;
    if (!lingerer->fd) return true;
    // MSG_TRUNC throws away what is read, in the kernel.
    ssize_t got = recv(lingerer->fd, NULL, READ_AT_ONCE, MSG_TRUNC | MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) let_go(lingerer);
    return true;
}

void el_linger_sweep(struct el_lingerers *lingerers, bool all) {
    uint64_t now = el_now_ns();
    for (int i = 0; i < EL_LINGERERS; i++) {
        struct el_lingerer *lingerer = &lingerers->slot[i];
        if (lingerer->fd && (all || now > lingerer->until_ns)) let_go(lingerer);
    }
}
