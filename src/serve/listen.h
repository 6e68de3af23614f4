// SPDX-License-Identifier: Apache-2.0
// The listening socket.
#ifndef EL_SERVE_LISTEN_H
#define EL_SERVE_LISTEN_H

// Listens on `host` (a name, an IPv4 or IPv6 address, with or without brackets) and `port` (0: a free one).
// EL_EIO says what stands in the way and what to do; EL_EINVAL for a host that cannot be resolved.
int el_listen(const char *host, int port, int *ret_fd, int *ret_port);

#endif
