// SPDX-License-Identifier: Apache-2.0
// The load generator.
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/sort.h"
#include "base/thread.h"

enum { EVENTS = 256, ANSWER_BYTES = 16384, TICK_MS = 1 };

struct connection {
    int fd;
    const struct load_request *request; // under way, or NULL
    uint64_t sent_ns;
    size_t received; // bytes in `answer`
    struct connection *next_free;
    char answer[ANSWER_BYTES];
};

struct samples {
    double *seconds;
    size_t count, capacity;
};

struct load {
    const struct load_plan *plan;
    struct connection *connections;
    struct connection *free;
    int epoll_fd;
    size_t next_request;
    uint64_t counted_from_ns;
    struct samples accepted, refused;
    struct load_result result;
};

static int keep(struct samples *samples, double seconds) {
    EL_TRY(el_grow(&samples->seconds, sizeof *samples->seconds, samples->count, &samples->capacity));
    samples->seconds[samples->count++] = seconds;
    return 0;
}

static struct load_latency summarise(struct samples *samples) {
    if (samples->count == 0) return (struct load_latency){0};
    el_sort_f64(samples->seconds, samples->count);
    return (struct load_latency){samples->seconds[samples->count / 2],
                                 samples->seconds[samples->count * 99 / 100],
                                 samples->seconds[samples->count - 1]};
}

// ---- connections ----

static int dial(struct load *load, struct connection *connection) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)load->plan->port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    const int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&address, sizeof address) < 0)
        return el_fail(EL_ENET, "cannot connect to port %d: %s", load->plan->port, strerror(errno));
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event);
    connection->next_free = load->free;
    load->free = connection;
    return 0;
}

static int reconnect(struct load *load, struct connection *connection) {
    load->result.errors++;
    close(connection->fd);
    connection->request = NULL;
    return dial(load, connection);
}

// Sends the next request on a free connection.
static int send_next(struct load *load) {
    struct connection *connection = load->free;
    const struct load_request *request =
        &load->plan->requests[load->next_request++ % load->plan->request_count];
    load->free = connection->next_free;
    connection->request = request;
    connection->received = 0;
    connection->sent_ns = el_now_ns();
    if (send(connection->fd, request->bytes, request->length, MSG_NOSIGNAL) == (ssize_t)request->length)
        return 0;
    return reconnect(load, connection);
}

// ---- answers ----

// Bytes of the whole answer, or 0 while its header is not complete.
static size_t answer_size(const struct connection *connection) {
    static const char field[] = "Content-Length: ";
    const char *end = memmem(connection->answer, connection->received, "\r\n\r\n", 4);
    const char *length =
        end ? memmem(connection->answer, (size_t)(end - connection->answer), field, sizeof field - 1) : NULL;
    if (!length) return 0;
    return (size_t)(end - connection->answer) + 4 + strtoul(length + sizeof field - 1, NULL, 10);
}

static int count_answer(struct load *load, struct connection *connection) {
    const struct load_request *request = connection->request;
    const uint64_t now = el_now_ns();
    const double seconds = (double)(now - connection->sent_ns) * 1e-9;
    const char *status = connection->answer + sizeof "HTTP/1.1";
    if (now < load->counted_from_ns) return 0;
    if (memcmp(status, "429", 3) == 0) return keep(&load->refused, seconds);
    if (memcmp(status, "200", 3) != 0) {
        load->result.errors++;
        return 0;
    }
    if (!memmem(connection->answer, connection->received, request->expected, request->expected_length))
        load->result.wrong++;
    return keep(&load->accepted, seconds);
}

static int receive(struct load *load, struct connection *connection) {
    ssize_t got = recv(connection->fd, connection->answer + connection->received,
                       ANSWER_BYTES - connection->received, 0);
    if (got <= 0) return reconnect(load, connection);
    connection->received += (size_t)got;
    size_t size = answer_size(connection);
    if (size > ANSWER_BYTES) return el_fail(EL_ETOOBIG, "an answer of %zu bytes", size);
    if (size == 0 || connection->received < size) return 0;
    EL_TRY(count_answer(load, connection));
    connection->request = NULL;
    connection->next_free = load->free;
    load->free = connection;
    return 0;
}

// ---- the run ----

// Sends what is due: everything that is free in a closed loop, else as the clock says.
static int send_due(struct load *load, uint64_t began, uint64_t now, uint64_t *sent) {
    if (load->plan->rate <= 0) {
        while (load->free)
            EL_TRY(send_next(load));
        return 0;
    }
    const uint64_t due = (uint64_t)((double)(now - began) * 1e-9 * load->plan->rate);
    for (; *sent < due; ++*sent) {
        if (load->free)
            EL_TRY(send_next(load));
        else if (now >= load->counted_from_ns)
            load->result.unsent++;
    }
    return 0;
}

static int run(struct load *load) {
    struct epoll_event events[EVENTS];
    const uint64_t began = el_now_ns();
    const uint64_t end = began + (uint64_t)((load->plan->warmup_s + load->plan->seconds) * 1e9);
    uint64_t sent = 0;
    load->counted_from_ns = began + (uint64_t)(load->plan->warmup_s * 1e9);
    for (uint64_t now; (now = el_now_ns()) < end;) {
        EL_TRY(send_due(load, began, now, &sent));
        int count = epoll_wait(load->epoll_fd, events, EVENTS, load->plan->rate > 0 ? TICK_MS : 100);
        for (int i = 0; i < count; i++)
            EL_TRY(receive(load, events[i].data.ptr));
    }
    load->result.seconds = load->plan->seconds;
    load->result.accepted = load->accepted.count;
    load->result.refused = load->refused.count;
    load->result.accepted_s = summarise(&load->accepted);
    load->result.refused_s = summarise(&load->refused);
    return 0;
}

int load_run(const struct load_plan *plan, struct load_result *ret_result) {
    struct load load = {.plan = plan};
    int status = el_zalloc((size_t)plan->connections, sizeof *load.connections, &load.connections);
    if (status < 0) return status;
    load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < plan->connections && status == 0; i++)
        status = dial(&load, &load.connections[i]);
    if (status == 0) status = run(&load);
    for (int i = 0; i < plan->connections; i++)
        if (load.connections[i].fd > 0) close(load.connections[i].fd);
    close(load.epoll_fd);
    if (status == 0) *ret_result = load.result;
    el_free(load.connections);
    el_free(load.accepted.seconds);
    el_free(load.refused.seconds);
    return status;
}
