// SPDX-License-Identifier: Apache-2.0
// The load generator. Two kinds of clients share the connections: those who send when the clock says so (or,
// without a rate, when they have their answer), and the obedient, who after a 429 wait as long as they were
// told.
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
#include "base/file.h"
#include "base/mem.h"
#include "base/sort.h"
#include "base/thread.h"

enum {
    EVENTS = 256,
    ANSWER_BYTES = 32768,
    TICK_MS = 1,
    // When it sends by the clock: beside threads that compute it would measure its own wait for a processor.
    // Longer than the server's, so that it does not interrupt that.
    SLICE_NS = 400000,
};

struct connection {
    int fd;
    const struct load_request *request; // under way, or NULL
    uint64_t sent_ns;
    size_t received; // bytes in `answer`
    struct connection *next_free;
    char *answer;    // [ANSWER_BYTES]
    uint64_t due_ns; // of an obedient one: when it may send
    bool told;       // it was refused, and comes back when it was told to
    bool obedient;
};

struct samples {
    double *seconds;
    size_t count, capacity;
};

struct load {
    const struct load_plan *plan;
    struct connection *connections; // the obedient are the first
    char *answers;                  // [connections][ANSWER_BYTES]
    struct connection *free;        // without the obedient
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

static void set_free(struct load *load, struct connection *connection) {
    connection->request = NULL;
    if (connection->obedient) return;
    connection->next_free = load->free;
    load->free = connection;
}

int load_connect(int port, int *ret_fd) {
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    el_auto(el_fd_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return el_fail(EL_ENET, "cannot connect to port %d: %s", port, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static int dial(struct load *load, struct connection *connection) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    connection->fd = -1;
    EL_TRY(load_connect(load->plan->port, &connection->fd));
    epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event);
    set_free(load, connection);
    return 0;
}

static int reconnect(struct load *load, struct connection *connection) {
    load->result.errors++;
    close(connection->fd);
    connection->told = false;
    return dial(load, connection);
}

static int send_next(struct load *load, struct connection *connection) {
    const struct load_request *request =
        &load->plan->requests[load->next_request++ % load->plan->request_count];
    connection->request = request;
    connection->received = 0;
    connection->sent_ns = el_now_ns();
    if (send(connection->fd, request->bytes, request->length, MSG_NOSIGNAL) == (ssize_t)request->length)
        return 0;
    return reconnect(load, connection);
}

// ---- answers ----

// The number in a field of the answer's header, whose end is given; 0 when it is not there.
static size_t number_in(const struct connection *connection, const char *end, const char *field) {
    const char *found = memmem(connection->answer, (size_t)(end - connection->answer), field, strlen(field));
    return found ? strtoul(found + strlen(field), NULL, 10) : 0;
}

// Bytes of the header, or 0 while it is not complete.
static size_t header_size(const struct connection *connection) {
    const char *end = memmem(connection->answer, connection->received, "\r\n\r\n", 4);
    return end ? (size_t)(end - connection->answer) + 4 : 0;
}

static void note_refusal(struct connection *connection, size_t header, uint64_t now) {
    connection->told = true;
    connection->due_ns =
        now + number_in(connection, connection->answer + header, "retry-after-ms: ") * 1000000;
}

static bool has_status(const struct connection *connection, const char *status) {
    return memcmp(connection->answer + sizeof "HTTP/1.1", status, 3) == 0;
}

static int count_answer(struct load *load, const struct connection *connection, uint64_t now) {
    const struct load_request *request = connection->request;
    const double seconds = (double)(now - connection->sent_ns) * 1e-9;
    if (now < load->counted_from_ns) return 0;
    if (connection->obedient) {
        load->result.came_back += connection->told;
        load->result.let_in += connection->told && has_status(connection, "200");
    }
    if (has_status(connection, "429")) return keep(&load->refused, seconds);
    if (!has_status(connection, "200")) {
        load->result.errors++;
        return 0;
    }
    if (!memmem(connection->answer, connection->received, request->expected, request->expected_length))
        load->result.wrong++;
    load->result.tokens += request->tokens;
    return keep(&load->accepted, seconds);
}

static int receive(struct load *load, struct connection *connection) {
    ssize_t got = recv(connection->fd, connection->answer + connection->received,
                       ANSWER_BYTES - connection->received, 0);
    if (got <= 0) return reconnect(load, connection);
    connection->received += (size_t)got;
    const size_t header = header_size(connection);
    if (header == 0) return 0;
    const size_t size = header + number_in(connection, connection->answer + header, "Content-Length: ");
    if (size > ANSWER_BYTES) return el_fail(EL_ETOOBIG, "an answer of %zu bytes", size);
    if (connection->received < size) return 0;
    const uint64_t now = el_now_ns();
    EL_TRY(count_answer(load, connection, now));
    connection->told = false;
    connection->due_ns = 0;
    if (has_status(connection, "429")) note_refusal(connection, header, now);
    set_free(load, connection);
    return 0;
}

// ---- the run ----

static int send_free(struct load *load) {
    struct connection *connection = load->free;
    load->free = connection->next_free;
    return send_next(load, connection);
}

// Sends what is due: everything that is free in a closed loop, else as the clock says.
static int send_due(struct load *load, uint64_t began, uint64_t now, uint64_t *sent) {
    for (int i = 0; i < load->plan->obedient; i++)
        if (!load->connections[i].request && load->connections[i].due_ns <= now)
            EL_TRY(send_next(load, &load->connections[i]));
    if (load->plan->rate <= 0) {
        while (load->free)
            EL_TRY(send_free(load));
        return 0;
    }
    const uint64_t due = (uint64_t)((double)(now - began) * 1e-9 * load->plan->rate);
    for (; *sent < due; ++*sent) {
        if (load->free)
            EL_TRY(send_free(load));
        else if (now >= load->counted_from_ns)
            load->result.unsent++;
    }
    return 0;
}

static int run(struct load *load) {
    struct epoll_event events[EVENTS];
    const uint64_t began = el_now_ns();
    const uint64_t end = began + (uint64_t)((load->plan->warmup_s + load->plan->seconds) * 1e9);
    const int wait_ms = load->plan->never_sleeps ? 0 : load->plan->rate > 0 ? TICK_MS : 100;
    uint64_t sent = 0;
    el_thread_slice(load->plan->rate > 0 ? SLICE_NS : 0);
    load->counted_from_ns = began + (uint64_t)(load->plan->warmup_s * 1e9);
    for (uint64_t now; (now = el_now_ns()) < end;) {
        EL_TRY(send_due(load, began, now, &sent));
        int count = epoll_wait(load->epoll_fd, events, EVENTS, wait_ms);
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

static int dial_all(struct load *load) {
    const size_t count = (size_t)load->plan->connections;
    EL_TRY(el_zalloc(count, sizeof *load->connections, &load->connections));
    EL_TRY(el_alloc(count, ANSWER_BYTES, &load->answers));
    for (size_t i = 0; i < count; i++) {
        load->connections[i].answer = load->answers + i * ANSWER_BYTES;
        load->connections[i].obedient = i < (size_t)load->plan->obedient;
        EL_TRY(dial(load, &load->connections[i]));
    }
    return 0;
}

int load_run(const struct load_plan *plan, struct load_result *ret_result) {
    struct load load = {.plan = plan, .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    int status = dial_all(&load);
    if (status == 0) status = run(&load);
    for (int i = 0; load.connections && i < plan->connections; i++)
        if (load.connections[i].fd > 0) close(load.connections[i].fd);
    close(load.epoll_fd);
    if (status == 0) *ret_result = load.result;
    el_free(load.connections);
    el_free(load.answers);
    el_free(load.accepted.seconds);
    el_free(load.refused.seconds);
    return status;
}
