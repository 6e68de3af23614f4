// SPDX-License-Identifier: Apache-2.0
// The HTTP server: OpenAI's embeddings API over the embedding service. The whole loop:
//
//     struct el_server *server;
//     status = el_server_open(&config, &server);               // listens, starts to load the models
//     if (status == 0) status = el_server_run(server, on_ready, NULL); // until a signal or el_server_stop
//     el_server_close(server);
//
// One thread (the caller of el_server_run) runs the event loop: libmicrohttpd on epoll, with a connection
// suspended while its request is computed. One more thread takes the bodies and answers that are too large
// for the loop. The settings it honours are those of config/settings.def.
#ifndef EL_SERVE_SERVE_H
#define EL_SERVE_SERVE_H

#include "config/config.h"

struct el_server;

// Listens on host and port and starts to load the models in the background; until then /readyz and embeddings
// answer 503. Without a model in the config, all-MiniLM-L6-v2 is served. Blocks SIGTERM and SIGINT in the
// calling thread (those it starts inherit that), so call it before other threads start. `config` must outlive
// the server. EL_ENOENT (a model, key or certificate file; the detail says what to do), EL_EIO (the address
// is taken or is none of this machine's), EL_EINVAL, EL_ENOMEM.
int el_server_open(const struct el_config *config, struct el_server **ret_server);

// The port that is listened on: the one the system chose when the config says 0.
int el_server_port(const struct el_server *server);
// "http://127.0.0.1:8080", with the brackets of IPv6 and the s of TLS; lives as long as the server.
const char *el_server_url(const struct el_server *server);

// Called once, from within el_server_run, when every model is loaded.
typedef void el_server_ready_fn(void *context, struct el_server *server);

// Serves until SIGTERM, SIGINT or el_server_stop; then stops accepting, finishes what is in flight (for
// drain_timeout_s at most) and returns 0. A second signal does what it did before el_server_open,
// that is, it ends the process at once. When a model cannot be loaded it stops with that model's error.
int el_server_run(struct el_server *server, el_server_ready_fn *ready /* may be NULL */, void *context);

// Lets el_server_run drain and return. Any thread; may be called in `ready`.
void el_server_stop(struct el_server *server);

void el_server_close(struct el_server *server); // after el_server_run has returned, or instead of it

#endif
