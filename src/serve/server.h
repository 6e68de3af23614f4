// SPDX-License-Identifier: Apache-2.0
// The parts of a server, for the files of this folder. Only the event loop's thread touches them, save where
// a part's own header says otherwise; `stop` and the mailbox are for any thread.
#ifndef EL_SERVE_SERVER_H
#define EL_SERVE_SERVER_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "serve/clerk.h"
#include "serve/keys.h"
#include "serve/linger.h"
#include "serve/metrics.h"
#include "serve/monitor.h"
#include "serve/open_indexes.h"
#include "serve/peer.h"
#include "serve/roster.h"
#include "serve/serve.h"
#include "serve/tuner.h"

struct el_server {
    const struct el_config *config;
    struct el_trace *trace; // or NULL
    struct el_manager *manager;
    struct el_monitor *monitor;
    struct el_roster roster;
    struct el_tuner tuner; // of the roster's models, once they are loaded
    struct el_keys keys;
    struct el_metrics metrics;
    struct el_mailbox mailbox;
    struct el_clerk clerk;
    struct el_clerk index_reader, index_writer;
    struct el_open_indexes indexes; // of index_reader; its root is anybody's
    struct el_peers peers;
    struct el_lingerers lingerers;
    struct MHD_Daemon *daemon;
    char daemon_log[256]; // the last thing that libmicrohttpd complained about
    int listen_fd, epoll_fd, signal_fd;
    int port;
    char url[320];
    sigset_t old_signals;
    atomic_bool stop;    // wished by el_server_stop
    bool draining;       // no longer accepting
    bool refused;        // in this turn of the loop a queue was full
    size_t working;      // exchanges in phase EL_WORKING
    uint64_t body_bytes; // of all bodies that are held
};

#endif
