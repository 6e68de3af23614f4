// SPDX-License-Identifier: Apache-2.0
// One request and its reply, from the first header to the last byte. Belongs to the event loop's thread, save
// while the service or the clerk work for it (phase EL_WORKING): then they touch it, and the loop only
// cancels.
#ifndef EL_SERVE_EXCHANGE_H
#define EL_SERVE_EXCHANGE_H

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "serve/clerk.h"
#include "serve/fault.h"
#include "serve/reply.h"
#include "serve/roster.h"
#include "serve/router.h"
#include "service/embed.h"

enum el_phase {
    EL_READING,    // its body is coming
    EL_DISCARDING, // it is refused; what is left of its body is thrown away
    EL_WORKING,    // the connection is suspended
    EL_ANSWERING,  // the reply is made
};

struct el_exchange {
    struct el_server *server;
    struct MHD_Connection *connection;
    struct el_peer *peer;         // NULL when it could not be watched
    const struct el_route *route; // NULL: no such path
    const char *id;               // what stands for {id}, within the request's path
    enum el_phase phase;
    uint64_t began_ns;
    uint64_t received; // bytes of the body
    struct el_str body;
    struct el_fault fault; // kind EL_FAULT_NONE while all is well
    struct el_reply reply;

    // Embedding:
    struct el_model *model;
    bool base64;
    size_t inputs;
    struct el_embed_request *request; // closed with the exchange
    atomic_int steps;                 // how many have yet to arrive before the exchange goes back to the loop
    atomic_bool gone;                 // the client has left
    _Atomic(struct el_embed_request *) cancelable;
    int status; // of the request

    // Of the clerk and the mailbox:
    el_clerk_job *job;
    struct el_exchange *next;
};

// The request's body, "" where there is none.
const char *el_exchange_body(const struct el_exchange *exchange);

// A JSON reply, or its fault when `status` says that there was no memory for it.
void el_exchange_reply_json(struct el_exchange *exchange, int http_status, int status);

// The client is gone: whatever has not been computed is dropped.
void el_exchange_cancel(struct el_exchange *exchange);

// The work of an exchange has come back by the mailbox: its reply is sent.
void el_exchange_resume(struct el_exchange *exchange);

// libmicrohttpd's MHD_AccessHandlerCallback and MHD_RequestCompletedCallback, with the server as first
// argument.
enum MHD_Result el_exchange_access(void *server, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *upload,
                                   size_t *upload_size, void **exchange);
void el_exchange_completed(void *server, struct MHD_Connection *connection, void **exchange,
                           enum MHD_RequestTerminationCode why);

#endif
