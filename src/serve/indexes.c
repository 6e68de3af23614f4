// SPDX-License-Identifier: Apache-2.0
// /v1/indexes: what is read from indexes goes to one thread, what is written to another, so that neither
// holds up the event loop, and questions are answered while documents are embedded. (index_documents.c has
// the documents, index_query.c the questions.)
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "index/store.h"
#include "serve/handlers.h"
#include "serve/index_body.h"
#include "serve/index_text.h"
#include "serve/indexes.h"
#include "serve/server.h"

enum { QUEUE_RETRY_MS = 1000 };

// ---- from the loop to a thread and back ----

typedef int index_job(struct el_exchange *exchange, const char *name);

// EL_EINVAL: vectors that this one can't take; EL_EUNSUPPORTED: a search that it has nothing for; EL_EBUSY:
// the model's queue.
int el_indexes_fail(struct el_exchange *exchange, int status, const char *param) {
    el_fault_from_status(&exchange->fault, status, param);
    if (status == EL_EINVAL || status == EL_EUNSUPPORTED) exchange->fault.kind = EL_FAULT_INDEX_MISMATCH;
    if (status == EL_EIO || status == EL_ENET) exchange->fault.kind = EL_FAULT_STORAGE_FAILED;
    if (status == EL_ECHECKSUM || status == EL_EFORMAT) exchange->fault.kind = EL_FAULT_INDEX_DAMAGED;
    if (status == EL_EBUSY) exchange->fault.retry_ms = QUEUE_RETRY_MS;
    return EL_EINVAL;
}

int el_indexes_fail_named(struct el_exchange *exchange, int status) {
    el_indexes_fail(exchange, status, "name");
    if (status == EL_ENOENT) exchange->fault.kind = EL_FAULT_NO_INDEX;
    if (status == EL_EBUSY) exchange->fault.kind = EL_FAULT_INDEX_BUSY;
    return EL_EINVAL;
}

int el_indexes_begin(struct el_exchange *exchange, char **ret_name) {
    char *name el_auto_free = NULL;
    if (atomic_load(&exchange->gone))
        return el_fault_set(&exchange->fault, EL_FAULT_CLIENT_LEFT, NULL, "the client has left");
    if (!exchange->server->indexes.root)
        return el_fault_set(&exchange->fault, EL_FAULT_NO_INDEX, NULL,
                            "this server has no place for indexes: start it with ELEANOR_HOME");
    int status = exchange->id ? el_strndup(exchange->id, strcspn(exchange->id, "/"), &name) : 0;
    if (status < 0) return el_indexes_fail(exchange, status, NULL);
    if (name && el_search_name_check(name) < 0)
        return el_fault_from_status(&exchange->fault, EL_EINVAL, "name");
    *ret_name = el_steal(name);
    return 0;
}

void el_indexes_finish(struct el_exchange *exchange, int http_status, int status) {
    if (status == 0) {
        exchange->reply.status = http_status;
        exchange->reply.media_type = EL_MEDIA_JSON;
    } else {
        el_str_clear(&exchange->reply.body);
    }
    el_mailbox_post(&exchange->server->mailbox, exchange);
}

static void finish(struct el_exchange *exchange, int http_status, index_job *job) {
    char *name el_auto_free = NULL;
    int status = el_indexes_begin(exchange, &name);
    if (status == 0) status = job(exchange, name);
    el_indexes_finish(exchange, http_status, status);
}

void el_indexes_give(struct el_exchange *exchange, struct el_clerk *clerk, el_clerk_job *job) {
    exchange->phase = EL_WORKING;
    if (exchange->peer && exchange->peer->left) atomic_store(&exchange->gone, true);
    el_clerk_give(clerk, exchange, job);
}

static void read_by(struct el_exchange *exchange, el_clerk_job *job) {
    el_indexes_give(exchange, &exchange->server->index_reader, job);
}

static void write_by(struct el_exchange *exchange, el_clerk_job *job) {
    el_indexes_give(exchange, &exchange->server->index_writer, job);
}

// ---- models ----

// The model of an index among those that are served: by name, or by its folder.
static int find_model(struct el_exchange *exchange, const char *name, struct el_model **ret_model) {
    const struct el_roster *roster = &exchange->server->roster;
    struct el_model *model = el_roster_find(roster, name);
    for (size_t i = 0; i < roster->count && !model; i++) {
        char real[PATH_MAX];
        if (realpath(roster->models[i].path, real) && el_streq(real, name)) model = &roster->models[i];
    }
    if (!model)
        return el_fault_set(&exchange->fault, EL_FAULT_NO_MODEL, "model",
                            "model \"%.100s\" is not served here; start the server with it", name);
    *ret_model = model;
    return 0;
}

static int find_embedder(struct el_exchange *exchange, const char *name, struct el_embedder **ret_embedder) {
    struct el_model *model = NULL;
    EL_TRY(find_model(exchange, name, &model));
    *ret_embedder = atomic_load(&model->embedder);
    return *ret_embedder ? 0 : el_fault_loading(&exchange->fault, model->name);
}

// What the index keeps as its model's name: the store's, or the folder of one that was given so.
static int keep_model(struct el_exchange *exchange, const struct el_model *model, char *ret_name) {
    char real[PATH_MAX];
    const bool is_folder = el_streq(model->given, model->path) && realpath(model->path, real);
    const char *name = is_folder ? real : model->name;
    if (strlen(name) >= EL_VECTOR_MODEL_SIZE)
        return el_fault_set(&exchange->fault, EL_FAULT_INVALID_VALUE, "model",
                            "the model's name is too long for an index");
    memcpy(ret_name, name, strlen(name) + 1);
    return 0;
}

int el_indexes_embedder(struct el_exchange *exchange, const struct el_index *index,
                        struct el_embedder **ret_embedder) {
    const char *name = el_index_facts(index)->model;
    if (*name) return find_embedder(exchange, name, ret_embedder);
    return el_fault_set(&exchange->fault, EL_FAULT_INDEX_MISMATCH, "text",
                        "this index has no model to embed texts: it takes vectors");
}

// ---- create and delete ----

static int put_stats(struct el_exchange *exchange, const char *name) {
    struct el_open_indexes *indexes = &exchange->server->indexes;
    struct el_index_stats stats;
    struct el_index *index;
    EL_TRY(el_open_indexes_find(indexes, name, &index, NULL));
    EL_TRY(el_index_stats(index, &stats));
    return el_index_put_stats(&exchange->reply.body, name, el_index_store_name(index), el_index_facts(index),
                              &stats);
}

// As the command line does it: with dimensions alone the index takes vectors, else it has a model.
static int find_facts(struct el_exchange *exchange, const struct el_create_body *body,
                      struct el_vector_facts *facts) {
    struct el_model *model = NULL;
    struct el_embedder *embedder;
    *facts = (struct el_vector_facts){
        .dim = body->dim, .metric = body->metric, .kind = body->kind, .recall = (float)body->recall};
    if (body->dim && !body->model) return 0;
    const char *name = body->model ? body->model : exchange->server->roster.models[0].name;
    EL_TRY(find_embedder(exchange, name, &embedder));
    EL_TRY(find_model(exchange, name, &model));
    EL_TRY(keep_model(exchange, model, facts->model));
    facts->dim = el_embedder_dim(embedder);
    if (!body->dim || body->dim == facts->dim) return 0;
    return el_fault_set(&exchange->fault, EL_FAULT_INDEX_MISMATCH, "dim",
                        "\"dim\" is %d, but vectors of model %s have %d", body->dim, model->name, facts->dim);
}

static int create_from(struct el_exchange *exchange, const struct el_create_body *body) {
    const char *root = exchange->server->indexes.root;
    const struct el_index_stats empty = {0};
    struct el_vector_facts facts;
    struct el_index *there = NULL;
    EL_TRY(find_facts(exchange, body, &facts));
    if (el_search_open(root, body->name, false, &there) != EL_ENOENT) {
        el_index_close(there);
        return el_fault_set(&exchange->fault, EL_FAULT_INDEX_EXISTS, "name", "there is an index %s already",
                            body->name);
    }
    int status = el_search_create(root, body->name, NULL, &facts);
    if (status == 0)
        status =
            el_index_put_stats(&exchange->reply.body, body->name, el_embedded_store.name, &facts, &empty);
    return status < 0 ? el_indexes_fail_named(exchange, status) : 0;
}

static int create(struct el_exchange *exchange, const char *name) {
    struct el_create_body body;
    (void)name;
    int status =
        el_create_body_parse(el_exchange_body(exchange), exchange->body.length, &body, &exchange->fault);
    if (status == 0) status = create_from(exchange, &body);
    el_create_body_done(&body);
    return status;
}

static void create_job(struct el_exchange *exchange) {
    finish(exchange, 201, create);
}

void el_handle_create_index(struct el_exchange *exchange) {
    write_by(exchange, create_job);
}

static int delete (struct el_exchange *exchange, const char *name) {
    int status = el_search_delete(exchange->server->indexes.root, name);
    if (status == 0)
        status = el_str_printf(&exchange->reply.body, "{\"name\":\"%s\",\"deleted\":true}\n", name);
    return status < 0 ? el_indexes_fail_named(exchange, status) : 0;
}

static void delete_job(struct el_exchange *exchange) {
    finish(exchange, 200, delete);
}

void el_handle_delete_index(struct el_exchange *exchange) {
    write_by(exchange, delete_job);
}

// ---- reading ----

static int get(struct el_exchange *exchange, const char *name) {
    int status = put_stats(exchange, name);
    if (status == 0) status = el_str_putc(&exchange->reply.body, '\n');
    return status < 0 ? el_indexes_fail_named(exchange, status) : 0;
}

static void get_job(struct el_exchange *exchange) {
    finish(exchange, 200, get);
}

void el_handle_get_index(struct el_exchange *exchange) {
    read_by(exchange, get_job);
}

// One that can't be opened does not hide the others: it stands there with what is wrong with it.
static int put_one(void *context, const char *name) {
    struct el_exchange *exchange = context;
    struct el_str *body = &exchange->reply.body;
    if (!el_ends_with(body->data, "[")) EL_TRY(el_str_putc(body, ','));
    const size_t before = body->length;
    if (put_stats(exchange, name) == 0) return 0;
    body->length = before;
    EL_TRY(el_str_printf(body, "{\"name\":\"%s\",\"error\":", name));
    EL_TRY(el_str_put_json(body, el_error_detail(), strlen(el_error_detail())));
    return el_str_putc(body, '}');
}

static int list(struct el_exchange *exchange, const char *name) {
    struct el_str *body = &exchange->reply.body;
    (void)name;
    int status = el_str_puts(body, "{\"object\":\"list\",\"data\":[");
    if (status == 0) status = el_search_list(exchange->server->indexes.root, put_one, exchange);
    if (status == 0) status = el_str_puts(body, "]}\n");
    return status < 0 ? el_indexes_fail(exchange, status, NULL) : 0;
}

static void list_job(struct el_exchange *exchange) {
    finish(exchange, 200, list);
}

void el_handle_list_indexes(struct el_exchange *exchange) {
    read_by(exchange, list_job);
}
