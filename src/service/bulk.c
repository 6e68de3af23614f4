// SPDX-License-Identifier: Apache-2.0
// Bulk calls: texts go in by chunks, so that one is tokenised while others compute.
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "service/embed.h"

enum { CHUNK = 512 }; // texts

// A bulk call waits for its chunks.
struct bulk {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t waiting; // chunks
    int status;     // of the first that failed
    char detail[256];
};

struct chunk {
    struct bulk *bulk;
    float *vectors; // where its results go
};

static void chunk_done(void *context, struct el_embed_request *request, int status) {
    struct chunk *chunk = context;
    struct bulk *bulk = chunk->bulk;
    if (status == 0)
        memcpy(chunk->vectors, el_embed_request_vectors(request),
               el_embed_request_count(request) * (size_t)el_embed_request_dim(request) * sizeof(float));
    pthread_mutex_lock(&bulk->lock);
    if (status < 0 && bulk->status == 0) {
        bulk->status = status;
        snprintf(bulk->detail, sizeof bulk->detail, "%s", el_error_detail());
    }
    bulk->waiting--;
    pthread_cond_signal(&bulk->changed);
    pthread_mutex_unlock(&bulk->lock);
    el_embed_request_close(request);
}

static int submit_chunk(struct el_embedder *embedder, const struct el_text *texts, size_t count,
                        const struct el_embed_options *options, struct chunk *chunk) {
    el_auto_free struct el_embed_input *inputs = NULL;
    struct el_embed_request *request = NULL;
    EL_TRY(el_zalloc(count, sizeof *inputs, &inputs));
    for (size_t i = 0; i < count; i++)
        inputs[i].text = texts[i];
    pthread_mutex_lock(&chunk->bulk->lock);
    chunk->bulk->waiting++;
    pthread_mutex_unlock(&chunk->bulk->lock);
    int status = el_embed_submit(embedder, inputs, count, options, chunk_done, chunk, &request, NULL);
    if (status < 0) {
        pthread_mutex_lock(&chunk->bulk->lock);
        chunk->bulk->waiting--;
        pthread_mutex_unlock(&chunk->bulk->lock);
    }
    return status;
}

// Waits until one more chunk is done; false when none is under way.
static bool wait_for_one(struct bulk *bulk) {
    pthread_mutex_lock(&bulk->lock);
    const size_t waiting = bulk->waiting;
    while (bulk->waiting && bulk->waiting == waiting)
        pthread_cond_wait(&bulk->changed, &bulk->lock);
    pthread_mutex_unlock(&bulk->lock);
    return waiting > 0;
}

static int wait_for_chunks(struct bulk *bulk) {
    pthread_mutex_lock(&bulk->lock);
    while (bulk->waiting > 0)
        pthread_cond_wait(&bulk->changed, &bulk->lock);
    pthread_mutex_unlock(&bulk->lock);
    return bulk->status < 0 ? el_fail_copy(bulk->status, bulk->detail) : 0;
}

int el_embed_all(struct el_embedder *embedder, const struct el_text *texts, size_t count,
                 const struct el_embed_options *options, float *vectors) {
    const size_t dim = (size_t)el_embedder_dim(embedder), chunks = (count + CHUNK - 1) / CHUNK;
    el_auto_free struct chunk *chunk = NULL;
    struct bulk bulk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    EL_TRY(el_alloc(chunks, sizeof *chunk, &chunk));
    int status = 0;
    for (size_t i = 0; i < chunks && status == 0; i++) {
        const size_t first = i * CHUNK;
        chunk[i] = (struct chunk){.bulk = &bulk, .vectors = vectors + first * dim};
        do
            status = submit_chunk(embedder, texts + first, EL_MIN(count - first, CHUNK), options, &chunk[i]);
        while (status == EL_EBUSY && wait_for_one(&bulk)); // of a queue that our own chunks fill
    }
    char detail[256];
    snprintf(detail, sizeof detail, "%s", el_error_detail());
    int waited = wait_for_chunks(&bulk);
    return status < 0 ? el_fail_copy(status, detail) : waited;
}

int el_embed(struct el_embedder *embedder, const struct el_text *texts, size_t count, float *vectors) {
    static const struct el_embed_options options = {.allow_empty = true};
    return el_embed_all(embedder, texts, count, &options, vectors);
}
