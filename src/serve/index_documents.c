// SPDX-License-Identifier: Apache-2.0
// /v1/indexes/{name}/documents: what is added and what is removed, on the thread that writes.
#include <inttypes.h>

#include "base/error.h"
#include "base/mem.h"
#include "serve/handlers.h"
#include "serve/index_body.h"
#include "serve/indexes.h"
#include "serve/server.h"

// Does its work with the index that the path names, opened for writing.
static void write_to_index(struct el_exchange *exchange,
                           int (*work)(struct el_exchange *exchange, struct el_index *index,
                                       const char *name)) {
    char *name el_auto_free = NULL;
    struct el_index *index = NULL;
    int status = el_indexes_begin(exchange, &name);
    if (status == 0) {
        status = el_search_open(exchange->server->indexes.root, name, true, &index);
        if (status == 0) el_index_use_devices(index, exchange->server->manager);
        status = status < 0 ? el_indexes_fail_named(exchange, status) : work(exchange, index, name);
    }
    el_index_close(index);
    el_indexes_finish(exchange, 200, status);
}

// ---- adding ----

static int add_texts(struct el_exchange *exchange, struct el_index *index, const struct el_add_body *body,
                     int64_t *ret_chunks) {
    struct el_embedder *embedder;
    EL_TRY(el_indexes_embedder(exchange, index, &embedder));
    int status = el_search_add(index, embedder, body->documents, body->count, ret_chunks);
    return status < 0 ? el_indexes_fail(exchange, status, "documents") : 0;
}

// Documents with vectors are one chunk each, with the text that they may have.
static int add_vectors(struct el_exchange *exchange, struct el_index *index, const struct el_add_body *body) {
    struct el_index_document *documents el_auto_free = NULL;
    const size_t dim = (size_t)el_index_facts(index)->dim;
    int status = el_zalloc(body->count, sizeof *documents, &documents);
    for (size_t i = 0; status == 0 && i < body->count; i++) {
        const struct el_search_document *given = &body->documents[i];
        documents[i] = (struct el_index_document){.id = given->id,
                                                  .metadata = given->metadata,
                                                  .chunks = 1,
                                                  .texts = given->text.data ? &given->text : NULL};
        documents[i].hash = el_index_hash(index, body->vectors + i * dim, dim * sizeof *body->vectors);
    }
    if (status == 0) status = el_index_put(index, documents, body->count, body->vectors);
    return status < 0 ? el_indexes_fail(exchange, status, "documents") : 0;
}

static int add(struct el_exchange *exchange, struct el_index *index, const char *name) {
    struct el_add_body body;
    int64_t chunks = 0;
    int status = el_add_body_parse(el_exchange_body(exchange), exchange->body.length,
                                   (size_t)exchange->server->config->max_inputs, el_index_facts(index)->dim,
                                   &body, &exchange->fault);
    if (status == 0 && body.vectors) {
        chunks = (int64_t)body.count;
        status = add_vectors(exchange, index, &body);
    } else if (status == 0) {
        status = add_texts(exchange, index, &body, &chunks);
    }
    if (status == 0 &&
        el_str_printf(&exchange->reply.body, "{\"index\":\"%s\",\"documents\":%zu,\"chunks\":%" PRId64 "}\n",
                      name, body.count, chunks) < 0)
        status = el_indexes_fail(exchange, EL_ENOMEM, NULL);
    el_add_body_done(&body);
    return status;
}

static void add_job(struct el_exchange *exchange) {
    write_to_index(exchange, add);
}

void el_handle_add_documents(struct el_exchange *exchange) {
    el_indexes_give(exchange, &exchange->server->index_writer, add_job);
}

// ---- removing ----

static int remove_those(struct el_exchange *exchange, struct el_index *index, const char *name,
                        const struct el_remove_body *body) {
    int64_t removed;
    int status = body->ids ? el_index_remove(index, body->ids, body->count, &removed)
                           : el_index_remove_passing(index, body->filter.data, &removed);
    if (status == 0)
        status = el_str_printf(&exchange->reply.body, "{\"index\":\"%s\",\"removed\":%" PRId64 "}\n", name,
                               removed);
    return status < 0 ? el_indexes_fail(exchange, status, NULL) : 0;
}

static int remove_documents(struct el_exchange *exchange, struct el_index *index, const char *name) {
    struct el_remove_body body;
    int status = el_remove_body_parse(el_exchange_body(exchange), exchange->body.length,
                                      (size_t)exchange->server->config->max_inputs, &body, &exchange->fault);
    if (status == 0) status = remove_those(exchange, index, name, &body);
    el_remove_body_done(&body);
    return status;
}

static void remove_job(struct el_exchange *exchange) {
    write_to_index(exchange, remove_documents);
}

void el_handle_delete_documents(struct el_exchange *exchange) {
    el_indexes_give(exchange, &exchange->server->index_writer, remove_job);
}
