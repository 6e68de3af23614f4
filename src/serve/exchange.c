// SPDX-License-Identifier: Apache-2.0
// The life of a request. What can be refused by its header is refused there, before its body is read and
// before any work is done for it; a small body is then thrown away, so that the connection can go on.
#include "serve/exchange.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "serve/embeddings.h"
#include "serve/server.h"

enum {
    DISCARD_LIMIT = 1 << 20, // bytes of a refused body that are read for the sake of the connection
    BODIES_HELD = 8,         // so many of the largest bodies may be in memory at once
};

// ---- what the header says ----

static const char *header(struct MHD_Connection *connection, const char *name) {
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

// Bytes of the body; 0 for none, UINT64_MAX when the header does not say (chunks).
static uint64_t body_size(struct MHD_Connection *connection) {
    const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    int64_t bytes = 0;
    if (header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING)) return UINT64_MAX;
    if (length && el_parse_i64(length, 0, INT64_MAX, &bytes) < 0) return UINT64_MAX;
    return (uint64_t)bytes;
}

static int find_route(struct el_exchange *exchange, const char *method, const char *path) {
    struct el_fault *fault = &exchange->fault;
    switch (el_router_find(method, path, &exchange->route, &exchange->id)) {
    case EL_MATCH:
        return 0;
    case EL_MATCH_OPTIONS:
        exchange->reply = (struct el_reply){.status = MHD_HTTP_NO_CONTENT, .allow = exchange->route};
        return 0;
    case EL_MATCH_WRONG_METHOD:
        exchange->reply.allow = exchange->route;
        return el_fault_set(fault, EL_FAULT_WRONG_METHOD, NULL, "%s does not take %s", path, method);
    default:
        return el_fault_set(fault, EL_FAULT_NO_ROUTE, NULL,
                            "there is nothing at %s; GET /openapi.json lists what is here", path);
    }
}

static int check_key(struct el_exchange *exchange) {
    if (exchange->route && !exchange->route->needs_key) return 0;
    const char *given = header(exchange->connection, MHD_HTTP_HEADER_AUTHORIZATION);
    if (el_keys_allow(&exchange->server->keys, given)) return 0;
    return el_fault_set(&exchange->fault, EL_FAULT_INVALID_KEY, NULL,
                        given
                            ? "the API key is not one of this server's"
                            : "this server needs an API key: send the header \"Authorization: Bearer KEY\"");
}

static int too_large(struct el_exchange *exchange) {
    int64_t limit = exchange->server->config->max_body;
    return el_fault_set(&exchange->fault, EL_FAULT_BODY_TOO_LARGE, NULL,
                        "the body is larger than %" PRId64
                        " bytes; send the inputs in several requests, or raise "
                        "max_body",
                        limit);
}

// JSON, or what clients send that do not say (curl -d says form-urlencoded).
static bool media_type_is_json(const char *type) {
    static const char *const taken[] = {"application/json", "application/x-www-form-urlencoded",
                                        "text/plain"};
    if (!type) return true;
    size_t length = strcspn(type, "; \t");
    for (size_t i = 0; i < EL_COUNT(taken); i++)
        if (length == strlen(taken[i]) && strncasecmp(type, taken[i], length) == 0) return true;
    return length > 5 && strncasecmp(type + length - 5, "+json", 5) == 0;
}

static int check_media(struct el_exchange *exchange, const char *type, const char *coding) {
    if (!media_type_is_json(type))
        return el_fault_set(&exchange->fault, EL_FAULT_WRONG_MEDIA_TYPE, NULL,
                            "the body must be application/json, not %s", type);
    if (coding && strcasecmp(coding, "identity") != 0)
        return el_fault_set(&exchange->fault, EL_FAULT_WRONG_MEDIA_TYPE, NULL,
                            "the body must not be compressed (Content-Encoding: %s)", coding);
    return 0;
}

static int check_header(struct el_exchange *exchange, const char *method, const char *path, uint64_t size) {
    int status = find_route(exchange, method, path);
    EL_TRY(check_key(exchange));
    if (status < 0 || exchange->reply.status) return status;
    if (el_streq(exchange->route->method, "POST") || exchange->route == &el_routes[EL_ROUTE_delete_documents])
        EL_TRY(check_media(exchange, header(exchange->connection, MHD_HTTP_HEADER_CONTENT_TYPE),
                           header(exchange->connection, MHD_HTTP_HEADER_CONTENT_ENCODING)));
    if (exchange->route == &el_routes[EL_ROUTE_create_embeddings]) EL_TRY(el_embeddings_admit(exchange));
    bool known = size != UINT64_MAX;
    return known && size > (uint64_t)exchange->server->config->max_body ? too_large(exchange) : 0;
}

const char *el_exchange_body(const struct el_exchange *exchange) {
    return exchange->body.data ? exchange->body.data : "";
}

// ---- the reply ----

static enum MHD_Result answer(struct el_exchange *exchange) {
    if (exchange->fault.kind) el_reply_fault(&exchange->reply, &exchange->fault);
    exchange->phase = EL_ANSWERING;
    if (exchange->fault.kind == EL_FAULT_QUEUE_FULL) exchange->server->refused = true;
    el_metrics_count(&exchange->server->metrics, exchange);
    if (el_streq(el_fault_rows[exchange->fault.kind].label, "backend"))
        el_warn("a request with %zu inputs failed: %s", exchange->inputs, exchange->fault.message);
    el_debug("%s %d, %zu inputs, %" PRIu64 " us", exchange->route ? exchange->route->path : "(no route)",
             exchange->reply.status, exchange->inputs, (el_now_ns() - exchange->began_ns) / 1000);
    return el_reply_send(&exchange->reply, exchange->connection, exchange->server->draining) ? MHD_YES
                                                                                             : MHD_NO;
}

static void drop_body(struct el_exchange *exchange) {
    exchange->server->body_bytes -= exchange->body.length;
    el_str_done(&exchange->body);
}

static enum MHD_Result handle(struct el_exchange *exchange) {
    if (!exchange->fault.kind && !exchange->reply.status) exchange->route->handle(exchange);
    if (exchange->phase != EL_WORKING) return answer(exchange);
    exchange->server->working++;
    MHD_suspend_connection(exchange->connection);
    return MHD_YES;
}

// ---- as libmicrohttpd calls ----

static enum MHD_Result begin(struct el_server *server, struct MHD_Connection *connection, const char *path,
                             const char *method, void **ret_exchange) {
    struct el_exchange *exchange;
    if (el_zalloc(1, sizeof *exchange, &exchange) < 0) return MHD_NO;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    *ret_exchange = exchange;
    exchange->server = server;
    exchange->connection = connection;
    exchange->peer = info ? info->socket_context : NULL;
    exchange->began_ns = el_now_ns();
    if (exchange->peer) exchange->peer->exchange = exchange;
    uint64_t size = body_size(connection);
    if (check_header(exchange, method, path, size) == 0) return MHD_YES;
    exchange->phase = EL_DISCARDING;
    bool asks_first = header(connection, MHD_HTTP_HEADER_EXPECT) != NULL; // before it sends the body
    if (!asks_first && (size <= DISCARD_LIMIT || size == UINT64_MAX)) return MHD_YES;
    if (exchange->peer) el_linger(&server->lingerers, exchange->peer->fd);
    return answer(exchange); // libmicrohttpd closes the connection after it
}

static void refuse(struct el_exchange *exchange) {
    drop_body(exchange);
    exchange->phase = EL_DISCARDING;
}

static enum MHD_Result take_upload(struct el_exchange *exchange, const char *bytes, size_t length) {
    struct el_server *server = exchange->server;
    uint64_t largest = (uint64_t)server->config->max_body;
    exchange->received += length;
    if (exchange->phase == EL_DISCARDING)
        return exchange->received <= largest + DISCARD_LIMIT ? MHD_YES : MHD_NO;
    if (exchange->received > largest) {
        too_large(exchange);
        refuse(exchange);
    } else if (server->body_bytes + length > BODIES_HELD * largest) {
        el_fault_set(&exchange->fault, EL_FAULT_QUEUE_FULL, NULL,
                     "too many large requests are being received; try again in a second");
        exchange->fault.retry_ms = 1000;
        refuse(exchange);
    } else if (el_str_append(&exchange->body, bytes, length) < 0) {
        el_fault_from_status(&exchange->fault, EL_ENOMEM, NULL);
        refuse(exchange);
    } else {
        server->body_bytes += length;
    }
    return MHD_YES;
}

enum MHD_Result el_exchange_access(void *server, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *upload,
                                   size_t *upload_size, void **ret_exchange) {
    (void)version;
    struct el_exchange *exchange = *ret_exchange;
    if (!exchange) return begin(server, connection, url, method, ret_exchange);
    if (*upload_size) {
        size_t length = *upload_size;
        *upload_size = 0;
        return take_upload(exchange, upload, length);
    }
    return exchange->phase == EL_ANSWERING ? answer(exchange) : handle(exchange);
}

void el_exchange_completed(void *server, struct MHD_Connection *connection, void **ret_exchange,
                           enum MHD_RequestTerminationCode why) {
    (void)server, (void)connection, (void)why;
    struct el_exchange *exchange = *ret_exchange;
    *ret_exchange = NULL;
    if (!exchange) return;
    if (exchange->peer) {
        exchange->peer->exchange = NULL;
        exchange->peer->idle_since_ns = el_now_ns();
    }
    drop_body(exchange);
    el_embed_request_close(exchange->request);
    el_reply_done(&exchange->reply);
    el_free(exchange);
}

void el_exchange_reply_json(struct el_exchange *exchange, int http_status, int status) {
    exchange->reply.status = http_status;
    exchange->reply.media_type = EL_MEDIA_JSON;
    if (status < 0) el_fault_from_status(&exchange->fault, status, NULL);
}

// ---- while it works ----

void el_exchange_cancel(struct el_exchange *exchange) {
    atomic_store(&exchange->gone, true);
    if (exchange->phase != EL_WORKING) return;
    struct el_embed_request *request = atomic_load(&exchange->cancelable);
    if (request) el_embed_request_cancel(request);
}

void el_exchange_resume(struct el_exchange *exchange) {
    if (!el_embeddings_finish(exchange)) return;
    exchange->phase = EL_ANSWERING;
    exchange->server->working--;
    MHD_resume_connection(exchange->connection);
}
