// SPDX-License-Identifier: Apache-2.0
// The listening socket: resolves the host and binds the first of its addresses that can be bound.
#include "serve/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

// What bind or listen left in errno, in words that help.
static int explain(int error, const char *host, int port) {
    switch (error) {
    case EADDRINUSE:
        return el_fail(
            EL_EIO,
            "port %d of %s is in use by another program; stop that one (ss -ltnp 'sport = :%d' names "
            "it) or choose another port (--port 0 takes a free one)",
            port, host, port);
    case EACCES:
        return el_fail(EL_EIO, "port %d may not be used by this user; choose one above 1023 with --port",
                       port);
    case EADDRNOTAVAIL:
        return el_fail(
            EL_EIO,
            "%s is no address of this machine; choose one of its own with --host (0.0.0.0 or :: for all)",
            host);
    default:
        return el_fail(EL_EIO, "cannot listen on port %d of %s: %s", port, host, strerror(error));
    }
}

// A socket that listens on `address`, or -1 with errno set.
static int open_socket(const struct addrinfo *address) {
    const int on = 1, off = 0;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int bound_port(int fd) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0) return -1;
    return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port)
                                         : ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static int resolve(const char *host, int port, struct addrinfo **ret_addresses) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    char service[8];
    char *name el_auto_free = NULL;
    size_t length = strlen(host);
    bool bracketed = length > 2 && host[0] == '[' && host[length - 1] == ']';
    EL_TRY(el_strndup(host + bracketed, length - 2 * bracketed, &name));
    snprintf(service, sizeof service, "%d", port);
    int error = getaddrinfo(name, service, &hints, ret_addresses);
    if (error)
        return el_fail(EL_EINVAL,
                       "host \"%s\" has no address (%s); give an address of this machine with --host", host,
                       gai_strerror(error));
    return 0;
}

int el_listen(const char *host, int port, int *ret_fd, int *ret_port) {
    struct addrinfo *addresses;
    EL_TRY(resolve(host, port, &addresses));
    int fd = -1, error = 0;
    for (const struct addrinfo *address = addresses; address && fd < 0; address = address->ai_next) {
        fd = open_socket(address);
        if (fd < 0 && !error) error = errno;
    }
    freeaddrinfo(addresses);
    if (fd < 0) return explain(error, host, port);
    *ret_fd = fd;
    *ret_port = bound_port(fd);
    return 0;
}
