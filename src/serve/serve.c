// SPDX-License-Identifier: Apache-2.0
// The server: opening, the event loop, and the end. The loop waits on one epoll set of ours, which holds
// libmicrohttpd's own set, the mailbox, the signals and every connection's event of leaving.
#include "serve/serve.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "device/trace.h"
#include "serve/device_settings.h"
#include "serve/exchange.h"
#include "serve/listen.h"
#include "serve/server.h"

enum {
    EVENTS = 64,               // taken from epoll at once
    SWEEP_MS = 1000,           // between two looks for connections that dawdle
    CONNECTION_MEMORY = 16384, // bytes for headers and buffers, per connection
    CONNECTION_TIMEOUT_S = 75, // libmicrohttpd's: no byte either way
    SPARE_FILES = 128,         // descriptors beside those of connections
    LARGEST_PEM = 1 << 20,     // bytes
    REST_NS = 1000000,         // between turns that refuse
    SLICE_NS = 100000,         // the loop's turn on a processor: it goes before threads that compute
};

// ---- opening ----

static int block_signals(struct el_server *server) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, &server->old_signals);
    signal(SIGPIPE, SIG_IGN); // a client that closes is no reason to end
    server->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return server->signal_fd < 0 ? el_fail(EL_EIO, "cannot make a signalfd: %s", strerror(errno)) : 0;
}

// Connections that the limit of open files has room for, after raising it as far as it goes.
static unsigned allowed_connections(const struct el_config *config) {
    rlim_t wanted = (rlim_t)config->max_connections + SPARE_FILES;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return (unsigned)config->max_connections;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = EL_MIN(wanted, limit.rlim_max);
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= wanted) return (unsigned)config->max_connections;
    unsigned fewer = limit.rlim_cur > 2 * SPARE_FILES ? (unsigned)limit.rlim_cur - SPARE_FILES : SPARE_FILES;
    el_warn("max_connections is %" PRId64 ", but the limit of open files (ulimit -n) allows %u",
            config->max_connections, fewer);
    return fewer;
}

static int watch(const struct el_server *server, int fd, void *tag) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};
    if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0) return 0;
    return el_fail(EL_EIO, "cannot watch descriptor %d: %s", fd, strerror(errno));
}

static void note_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                            enum MHD_ConnectionNotificationCode what) {
    struct el_server *server = context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        el_peer_close(&server->peers, *socket_context);
        *socket_context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *socket_context = info ? el_peer_open(&server->peers, info->connect_fd) : NULL;
}

// As libmicrohttpd does it, but a %00, which would end the path before its end, becomes another control
// character.
static size_t unescape(void *context, struct MHD_Connection *connection, char *text) {
    (void)context, (void)connection;
    for (char *nul = text; (nul = strstr(nul, "%00"));)
        nul[2] = '1';
    return MHD_http_unescape(text);
}

__attribute__((format(printf, 2, 0))) static void take_log(void *context, const char *format, va_list args) {
    struct el_server *server = context;
    vsnprintf(server->daemon_log, sizeof server->daemon_log, format, args);
    size_t length = strlen(server->daemon_log);
    if (length && server->daemon_log[length - 1] == '\n') server->daemon_log[length - 1] = '\0';
    el_debug("libmicrohttpd: %s", server->daemon_log);
}

// Without TLS `certificate` and `key` are NULL.
static int start_daemon(struct el_server *server, char *certificate, char *key) {
    const struct MHD_OptionItem options[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)take_log, server}, // first, so that it hears of all others
        {MHD_OPTION_LISTEN_SOCKET, server->listen_fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, allowed_connections(server->config), NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)note_connection, server},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)el_exchange_completed, server},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)unescape, NULL},
        {MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL},
        {key ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, key},
        {MHD_OPTION_END, 0, NULL},
    };
    const unsigned tls = key ? MHD_USE_TLS : 0;
    server->daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | tls, 0, NULL, NULL,
                         el_exchange_access, server, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (!server->daemon)
        return el_fail(tls ? EL_EINVAL : EL_EIO, "cannot start the HTTP server%s: %s",
                       tls ? " (do tls_cert and tls_key hold a certificate and its key in PEM?)" : "",
                       server->daemon_log);
    return watch(server, MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
                 server->daemon);
}

static int start_http(struct el_server *server) {
    const struct el_config *config = server->config;
    el_auto(el_str_done) struct el_str certificate = {0}, key = {0};
    if (!config->tls_cert != !config->tls_key)
        return el_fail(EL_EINVAL, "tls_cert and tls_key go together; %s is not set",
                       config->tls_cert ? "tls_key" : "tls_cert");
    if (config->tls_cert) {
        EL_TRY(el_read_file(config->tls_cert, LARGEST_PEM, &certificate));
        EL_TRY(el_read_file(config->tls_key, LARGEST_PEM, &key));
    }
    EL_TRY(el_listen(config->host, (int)config->port, &server->listen_fd, &server->port));
    bool bare_ipv6 = strchr(config->host, ':') && config->host[0] != '[';
    snprintf(server->url, sizeof server->url, "http%s://%s%.256s%s:%d", config->tls_cert ? "s" : "",
             bare_ipv6 ? "[" : "", config->host, bare_ipv6 ? "]" : "", server->port);
    return start_daemon(server, certificate.data, key.data);
}

static void notify_loop(void *context) {
    struct el_server *server = context;
    el_mailbox_wake(&server->mailbox);
}

// Opens the devices that the settings choose, and says what people should know of the choice.
static int open_devices(struct el_server *server) {
    EL_TRY(el_devices_open(server->config, &server->trace, &server->manager));
    const struct el_manager_report *report = el_manager_report(server->manager);
    if (*report->fallback) el_info("%s", report->fallback);
    for (int i = 0; i < report->warning_count; i++)
        el_warn("%s", report->warnings[i]);
    return el_monitor_open(server->manager, server->config, &server->monitor);
}

static int open_parts(struct el_server *server) {
    const struct el_config *config = server->config;
    EL_TRY(block_signals(server));
    EL_TRY(el_mailbox_init(&server->mailbox));
    EL_TRY(el_keys_init(&server->keys, config->api_key_file, config->api_key));
    EL_TRY(open_devices(server));
    EL_TRY(el_roster_init(&server->roster, config, server->manager));
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll_fd < 0) return el_fail(EL_EIO, "cannot make an epoll set: %s", strerror(errno));
    server->peers.epoll_fd = server->lingerers.epoll_fd = server->epoll_fd;
    EL_TRY(watch(server, server->mailbox.event_fd, &server->mailbox));
    EL_TRY(watch(server, server->signal_fd, &server->signal_fd));
    EL_TRY(start_http(server));
    EL_TRY(el_clerk_open(&server->clerk));
    const struct el_searcher_options kept = {.manager = server->manager, .bytes = config->index_bytes};
    EL_TRY(el_open_indexes_init(&server->indexes, &kept, (int)config->threads));
    EL_TRY(el_clerk_open(&server->index_reader));
    EL_TRY(el_clerk_open(&server->index_writer));
    EL_TRY(el_roster_load(&server->roster, notify_loop, server));
    el_info("listening on %s%s", server->url, server->keys.count ? ", with API keys" : "");
    return 0;
}

int el_server_open(const struct el_config *config, struct el_server **ret_server) {
    struct el_server *server;
    EL_TRY(el_zalloc(1, sizeof *server, &server));
    server->config = config;
    server->listen_fd = server->epoll_fd = server->signal_fd = -1;
    el_metrics_init(&server->metrics);
    int status = open_parts(server);
    if (status < 0) {
        el_server_close(server);
        return status;
    }
    *ret_server = server;
    return 0;
}

int el_server_port(const struct el_server *server) {
    return server->port;
}

const char *el_server_url(const struct el_server *server) {
    return server->url;
}

// ---- the loop ----

// The first signal ends gently; it also puts the signals back to what they were, so that a second one ends
// the process at once.
static void take_signal(struct el_server *server) {
    struct signalfd_siginfo info;
    if (read(server->signal_fd, &info, sizeof info) == sizeof info) {
        el_info("signal %u: finishing %zu requests, then ending; a second signal ends at once",
                info.ssi_signo, server->working);
        atomic_store(&server->stop, true);
        pthread_sigmask(SIG_SETMASK, &server->old_signals, NULL);
    }
}

static void take_mail(struct el_server *server) {
    struct el_exchange *next, *exchange = el_mailbox_take(&server->mailbox);
    for (; exchange; exchange = next) {
        next = exchange->next;
        el_exchange_resume(exchange);
    }
}

// While a queue is full the loop rests between its turns, and refuses all that came meanwhile in one: waking
// for each would take a processor, and what it has in its caches, from the threads that compute.
static void rest(struct el_server *server) {
    static const struct timespec pause = {.tv_nsec = REST_NS};
    if (server->refused) nanosleep(&pause, NULL);
    server->refused = false;
}

// Waits for events, at most `limit_ms`, and handles them.
static void turn(struct el_server *server, int limit_ms) {
    struct epoll_event events[EVENTS];
    MHD_UNSIGNED_LONG_LONG wanted;
    rest(server);
    if (MHD_get_timeout(server->daemon, &wanted) == MHD_YES && wanted < (unsigned)limit_ms)
        limit_ms = (int)wanted;
    int count = epoll_wait(server->epoll_fd, events, EVENTS, limit_ms);
    for (int i = 0; i < count; i++) {
        void *tag = events[i].data.ptr;
        if (tag == &server->mailbox)
            take_mail(server);
        else if (tag == &server->signal_fd)
            take_signal(server);
        else if (tag != server->daemon && !el_linger_read(&server->lingerers, tag))
            el_peer_leave(tag); // peers are freed in MHD_run only, so all of these are alive
    }
    MHD_run(server->daemon);
}

static void begin_drain(struct el_server *server) {
    server->draining = true;
    MHD_quiesce_daemon(server->daemon);
    close(server->listen_fd);
    server->listen_fd = -1;
    el_peers_sweep(&server->peers, true);
}

// Drops what is left, waits until the service has let go of it, and tells the clients.
static void cut(struct el_server *server) {
    el_warn("drain_timeout_s is over: dropping %zu requests", server->working);
    for (struct el_peer *peer = server->peers.first; peer; peer = peer->next)
        if (peer->exchange) el_exchange_cancel(peer->exchange);
    while (server->working > 0)
        turn(server, SWEEP_MS);
    turn(server, 0);
}

static void drain(struct el_server *server) {
    uint64_t end = el_now_ns() + (uint64_t)server->config->drain_timeout_s * 1000000000;
    begin_drain(server);
    while (server->peers.count > 0 || server->working > 0) {
        if (el_now_ns() >= end) {
            if (server->working > 0) cut(server);
            return;
        }
        turn(server, 50);
        el_peers_sweep(&server->peers, true);
    }
}

int el_server_run(struct el_server *server, el_server_ready_fn *ready, void *context) {
    struct el_roster *roster = &server->roster;
    uint64_t swept = el_now_ns();
    bool told = false;
    el_thread_slice(SLICE_NS);
    while (!atomic_load(&server->stop)) {
        turn(server, SWEEP_MS);
        if (el_now_ns() - swept >= SWEEP_MS * UINT64_C(1000000)) {
            el_peers_sweep(&server->peers, false);
            el_linger_sweep(&server->lingerers, false);
            swept = el_now_ns();
        }
        if (told || !atomic_load(&roster->through)) continue;
        told = true;
        if (roster->status < 0) break;
        if (ready) ready(context, server);
        if (server->config->batch_tuning) el_tuner_start(&server->tuner, roster);
    }
    drain(server);
    el_info("ended");
    bool failed = atomic_load(&roster->through) && roster->status < 0;
    return failed ? el_fail_copy(roster->status, roster->detail) : 0;
}

void el_server_stop(struct el_server *server) {
    atomic_store(&server->stop, true);
    el_mailbox_wake(&server->mailbox);
}

// ---- closing ----

static void close_fd(int fd) {
    if (fd >= 0) close(fd);
}

void el_server_close(struct el_server *server) {
    if (!server) return;
    el_clerk_close(&server->clerk);
    el_clerk_close(&server->index_writer);
    el_clerk_close(&server->index_reader);
    el_open_indexes_done(&server->indexes);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    else
        close_fd(server->listen_fd);
    el_linger_sweep(&server->lingerers, true);
    el_tuner_stop(&server->tuner);
    el_roster_done(&server->roster);
    el_monitor_close(server->monitor);
    el_manager_close(server->manager);
    el_trace_close(server->trace);
    el_keys_done(&server->keys);
    el_mailbox_done(&server->mailbox);
    close_fd(server->epoll_fd);
    if (server->signal_fd >= 0) {
        close(server->signal_fd);
        pthread_sigmask(SIG_SETMASK, &server->old_signals, NULL);
    }
    el_free(server);
}
