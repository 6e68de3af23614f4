// SPDX-License-Identifier: Apache-2.0
// POST /v1/embeddings: body to service, vectors to JSON. Small ones stay on the event loop's thread; what
// would hold it up for more than a millisecond or two goes to the clerk.
#include "serve/embeddings.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "serve/body.h"
#include "serve/exchange.h"
#include "serve/handlers.h"
#include "serve/server.h"
#include "serve/vector_text.h"

enum {
    SMALL_BODY = 32 << 10,    // bytes that the loop itself parses and tokenises (about 2 ms)
    SMALL_ANSWER = 64 * 1024, // floats that the loop itself writes (about 1 ms)
};

// ---- before the body ----

// What its connection was told when it was refused.
static struct el_promise *promise_to(const struct el_exchange *exchange) {
    return exchange->peer ? &exchange->peer->promise : NULL;
}

int el_embeddings_admit(struct el_exchange *exchange) {
    const struct el_roster *roster = &exchange->server->roster;
    struct el_fault *fault = &exchange->fault;
    int status = 0;
    int64_t retry_ms = 0;
    if (exchange->server->draining)
        return el_fault_set(fault, EL_FAULT_SHUTTING_DOWN, NULL, "this server is shutting down");
    for (size_t i = 0; i < roster->count; i++) {
        struct el_embedder *embedder = atomic_load(&roster->models[i].embedder);
        if (!embedder) continue;
        status = el_embedder_admit(embedder, promise_to(exchange), &retry_ms);
        if (status == 0) return 0;
    }
    if (status == 0) return el_fault_loading(fault, NULL); // none was asked
    el_fault_from_status(fault, status, NULL);
    fault->retry_ms = retry_ms;
    return status;
}

// ---- from body to service ----

// One of the parties that an exchange waits for is through; the last sends it back to the loop.
static void arrive(struct el_exchange *exchange) {
    if (atomic_fetch_sub(&exchange->steps, 1) == 1) el_mailbox_post(&exchange->server->mailbox, exchange);
}

static void request_done(void *context, struct el_embed_request *request, int status) {
    (void)request;
    struct el_exchange *exchange = context;
    exchange->status = status;
    if (status < 0) el_fault_from_status(&exchange->fault, status, NULL);
    arrive(exchange);
}

// The fault of a refusal by the service, with the parameter that it is about.
static int refused(struct el_exchange *exchange, const struct el_embeddings_body *body, int status,
                   int64_t retry_ms) {
    struct el_fault *fault = &exchange->fault;
    bool of_input = el_starts_with(el_error_detail(), "input ");
    el_fault_from_status(fault, status, of_input ? "input" : body->prompt_name ? "prompt_name" : NULL);
    if (status == EL_ETOOBIG) fault->kind = EL_FAULT_INPUT_TOO_LONG;
    fault->retry_ms = retry_ms;
    return EL_EINVAL;
}

static int submit_to(struct el_exchange *exchange, struct el_embedder *embedder,
                     const struct el_embeddings_body *body) {
    const struct el_embed_options options = {.refuse_too_long = body->refuse_too_long,
                                             .dimensions = body->dimensions,
                                             .prompt = body->prompt_name,
                                             .promise = promise_to(exchange)};
    int64_t retry_ms = 0;
    if (body->dimensions > el_embedder_dim(embedder))
        return el_fault_set(&exchange->fault, EL_FAULT_INVALID_VALUE, "dimensions",
                            "\"dimensions\" is %d, but vectors of model %s have %d", body->dimensions,
                            exchange->model->name, el_embedder_dim(embedder));
    int status = el_embed_submit(embedder, body->inputs, body->count, &options, request_done, exchange,
                                 &exchange->request, &retry_ms);
    return status < 0 ? refused(exchange, body, status, retry_ms) : 0;
}

static int unknown_model(struct el_exchange *exchange, const char *name) {
    const struct el_roster *roster = &exchange->server->roster;
    struct el_str served el_auto(el_str_done) = {0};
    for (size_t i = 0; i < roster->count; i++)
        el_str_printf(&served, "%s%s", i ? ", " : "", roster->models[i].name); // without memory: fewer names
    return el_fault_set(&exchange->fault, EL_FAULT_NO_MODEL, "model",
                        "model \"%.100s\" is not served here; served: %s", name,
                        served.length ? served.data : "none");
}

// As many token ids as the inputs of one request can use.
static struct el_body_limits body_limits(const struct el_server *server) {
    size_t inputs = (size_t)server->config->max_inputs;
    int longest = 512;
    for (size_t i = 0; i < server->roster.count; i++) {
        const struct el_embedder *embedder = atomic_load(&server->roster.models[i].embedder);
        if (embedder) longest = EL_MAX(longest, el_embedder_max_tokens(embedder));
    }
    return (struct el_body_limits){inputs, inputs * (size_t)longest};
}

static int submit_body(struct el_exchange *exchange) {
    const struct el_body_limits limits = body_limits(exchange->server);
    struct el_embeddings_body body el_auto(el_embeddings_body_done);
    EL_TRY(el_embeddings_body_parse(el_exchange_body(exchange), exchange->body.length, &limits, &body,
                                    &exchange->fault));
    exchange->inputs = body.count;
    exchange->base64 = body.base64;
    exchange->model = el_roster_find(&exchange->server->roster, body.model);
    if (!exchange->model) return unknown_model(exchange, body.model);
    struct el_embedder *embedder = atomic_load(&exchange->model->embedder);
    if (!embedder) return el_fault_loading(&exchange->fault, exchange->model->name);
    return submit_to(exchange, embedder, &body);
}

// On the loop's thread or the clerk's. When the client has left meanwhile, either this or
// el_exchange_cancel sees it: each writes its own flag first and reads the other's after.
static int submit(struct el_exchange *exchange) {
    EL_TRY(submit_body(exchange));
    atomic_store(&exchange->cancelable, exchange->request);
    if (atomic_load(&exchange->gone)) el_embed_request_cancel(exchange->request);
    return 0;
}

static void submit_job(struct el_exchange *exchange) {
    if (submit(exchange) < 0) {
        exchange->status = EL_EINVAL;
        atomic_store(&exchange->steps, 1); // the service never will
    }
    arrive(exchange);
}

void el_handle_create_embeddings(struct el_exchange *exchange) {
    exchange->phase = EL_WORKING;
    if (exchange->peer && exchange->peer->left) atomic_store(&exchange->gone, true);
    if (exchange->body.length > SMALL_BODY) {
        exchange->steps = 2; // the clerk and the service
        el_clerk_give(&exchange->server->clerk, exchange, submit_job);
        return;
    }
    exchange->steps = 1;
    if (submit(exchange) < 0) exchange->phase = EL_ANSWERING; // with its fault
}

// ---- from vectors to JSON ----

static int put_item(const struct el_exchange *exchange, struct el_str *str, size_t index) {
    size_t dim = (size_t)el_embed_request_dim(exchange->request);
    const float *vector = el_embed_request_vectors(exchange->request) + index * dim;
    EL_TRY(el_str_printf(str, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", index ? "," : "",
                         index));
    EL_TRY(exchange->base64 ? el_vector_put_base64(str, vector, dim) : el_vector_put_json(str, vector, dim));
    return el_str_putc(str, '}');
}

static int put_answer(const struct el_exchange *exchange, struct el_str *str) {
    const struct el_embed_request *request = exchange->request;
    const size_t count = el_embed_request_count(request), dim = (size_t)el_embed_request_dim(request);
    const int64_t tokens = el_embed_request_tokens(request);
    const char *name = exchange->model->name;
    size_t of_vector = (exchange->base64 ? el_vector_base64_bound(dim) : dim * 13) + 64;
    EL_TRY(el_str_reserve(str, count * of_vector + 256));
    EL_TRY(el_str_puts(str, "{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < count; i++)
        EL_TRY(put_item(exchange, str, i));
    EL_TRY(el_str_puts(str, "],\"model\":"));
    EL_TRY(el_str_put_json(str, name, strlen(name)));
    return el_str_printf(str, ",\"usage\":{\"prompt_tokens\":%" PRId64 ",\"total_tokens\":%" PRId64 "}}\n",
                         tokens, tokens);
}

static void write_answer(struct el_exchange *exchange) {
    struct el_reply *reply = &exchange->reply;
    reply->status = 200;
    reply->media_type = EL_MEDIA_JSON;
    int status = put_answer(exchange, &reply->body);
    if (status < 0) el_fault_from_status(&exchange->fault, status, NULL);
}

static void write_job(struct el_exchange *exchange) {
    write_answer(exchange);
    arrive(exchange);
}

bool el_embeddings_finish(struct el_exchange *exchange) {
    bool left = exchange->peer && exchange->peer->left;
    if (exchange->status == EL_ECANCELED && !left)
        el_fault_set(&exchange->fault, EL_FAULT_SHUTTING_DOWN, NULL,
                     "this server is shutting down, and the time for what was in flight is over");
    bool failed = exchange->status < 0 || exchange->fault.kind, written = exchange->reply.status;
    if (failed || written) return true;
    size_t floats = exchange->inputs * (size_t)el_embed_request_dim(exchange->request);
    if (floats <= SMALL_ANSWER) {
        write_answer(exchange);
        return true;
    }
    exchange->steps = 1;
    el_clerk_give(&exchange->server->clerk, exchange, write_job);
    return false;
}
