// SPDX-License-Identifier: Apache-2.0
// Staging. A block is taken again only after the event behind its transfer. A back-end lets streams wait for
// events, not callers; so the caller syncs a stream of ours that waits.
#include "device/staging.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

struct block {
    char *bytes;          // [block_size], pinned
    struct el_event done; // behind its newest transfer
    bool is_busy;         // that transfer was not waited for yet
};

struct el_staging {
    struct el_stream *stream;
    struct el_stream waiter;
    size_t block_size; // bytes
    int count;
    uint64_t next; // transfers begun; the ring's next block, modulo count
    struct block blocks[];
};

static struct block *block_of(struct el_staging *staging, uint64_t transfer) {
    return &staging->blocks[transfer % (uint64_t)staging->count];
}

static int await(struct el_staging *staging, struct block *block) {
    if (!block->is_busy) return 0;
    EL_TRY(el_stream_wait(&staging->waiter, &block->done));
    EL_TRY(el_stream_sync(&staging->waiter));
    block->is_busy = false;
    return 0;
}

// After a failure: nothing may be in flight whose event may be missing.
static int settle(struct el_staging *staging, int status) {
    el_stream_settle(staging->stream, status);
    for (int i = 0; i < staging->count; i++)
        staging->blocks[i].is_busy = false;
    return status;
}

static int open_parts(struct el_staging *staging) {
    struct el_device *device = staging->stream->device;
    EL_TRY(el_stream_open(device, &staging->waiter));
    for (int i = 0; i < staging->count; i++) {
        void *bytes = NULL;
        EL_TRY(el_event_open(device, &staging->blocks[i].done));
        EL_TRY(device->backend->alloc_pinned(device, staging->block_size, &bytes));
        staging->blocks[i].bytes = bytes;
    }
    return 0;
}

int el_staging_open(struct el_stream *stream, int blocks, size_t block_size,
                    struct el_staging **ret_staging) {
    struct el_staging *staging = NULL;
    if (blocks < 1 || block_size < 1)
        return el_fail(EL_EINVAL, "staging needs blocks and bytes, not %d of %zu", blocks, block_size);
    EL_TRY(el_zalloc(1, sizeof *staging + (size_t)blocks * sizeof staging->blocks[0], &staging));
    staging->stream = stream;
    staging->count = blocks;
    staging->block_size = block_size;
    int status = open_parts(staging);
    if (status < 0) {
        el_staging_close(staging);
        return status;
    }
    *ret_staging = staging;
    return 0;
}

void el_staging_close(struct el_staging *staging) {
    if (!staging) return;
    struct el_device *device = staging->stream->device;
    bool is_busy = false;
    for (int i = 0; i < staging->count; i++)
        is_busy |= staging->blocks[i].is_busy;
    if (is_busy) el_stream_sync(staging->stream);
    for (int i = 0; i < staging->count; i++) {
        el_event_close(&staging->blocks[i].done);
        if (staging->blocks[i].bytes) device->backend->free_pinned(device, staging->blocks[i].bytes);
    }
    el_stream_close(&staging->waiter);
    el_free(staging);
}

// ---- transfers ----

static int upload_chunk(struct el_staging *staging, void *to, const void *host, size_t size) {
    struct block *block = block_of(staging, staging->next);
    EL_TRY(await(staging, block));
    memcpy(block->bytes, host, size);
    EL_TRY(el_stream_upload(staging->stream, to, block->bytes, size));
    EL_TRY(el_stream_record(staging->stream, &block->done));
    block->is_busy = true;
    staging->next++;
    return 0;
}

int el_staging_upload(struct el_staging *staging, void *to, const void *host, size_t size) {
    for (size_t at = 0; at < size; at += staging->block_size) {
        const size_t chunk = EL_MIN(size - at, staging->block_size);
        int status = upload_chunk(staging, (char *)to + at, (const char *)host + at, chunk);
        if (status < 0) return settle(staging, status);
    }
    return 0;
}

static int ask_chunk(struct el_staging *staging, const void *from, size_t size) {
    struct block *block = block_of(staging, staging->next);
    EL_TRY(await(staging, block));
    EL_TRY(el_stream_download(staging->stream, block->bytes, from, size));
    EL_TRY(el_stream_record(staging->stream, &block->done));
    block->is_busy = true;
    staging->next++;
    return 0;
}

// Asks ahead for as many chunks as there are blocks; takes them in order.
static int download(struct el_staging *staging, char *host, const char *from, size_t size) {
    const size_t ahead = (size_t)staging->count;
    const size_t chunks = size / staging->block_size + (size % staging->block_size > 0);
    const uint64_t first = staging->next;
    for (size_t taken = 0, asked = 0; taken < chunks; taken++) {
        for (; asked < chunks && asked < taken + ahead; asked++) {
            const size_t at = asked * staging->block_size;
            EL_TRY(ask_chunk(staging, from + at, EL_MIN(size - at, staging->block_size)));
        }
        const size_t at = taken * staging->block_size;
        struct block *block = block_of(staging, first + taken);
        EL_TRY(await(staging, block));
        memcpy(host + at, block->bytes, EL_MIN(size - at, staging->block_size));
    }
    return 0;
}

int el_staging_download(struct el_staging *staging, void *host, const void *from, size_t size) {
    int status = download(staging, host, from, size);
    return status < 0 ? settle(staging, status) : 0;
}
