// SPDX-License-Identifier: Apache-2.0
// The embedding cache: slots of vectors whose keys S3-FIFO picks, a table of the texts being computed, and
// one lock, held for the copy of one vector at most.
#include "engine/cache.h"

#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "engine/s3fifo.h"

enum {
    BLOCK_BYTES = 256 << 10, // memory is taken in blocks of about so much
    FLIGHT_BUCKETS = 1 << 14,
    MOST_FLIGHTS = 4 * FLIGHT_BUCKETS, // texts being computed; one more is not waited for
    KEY_BYTES = 96,                    // what S3-FIFO takes for a key, or a little less
    MOST_RECORDS = 1 << 30,
};

// What a slot holds.
struct record {
    int64_t tokens;
    float vector[];
};

struct el_cache {
    size_t dim, record_bytes, block_records;
    uint32_t capacity; // records
    struct el_siphash_key secret[EL_CACHE_KINDS];

    pthread_mutex_t lock;   // guards all below
    struct el_s3fifo *keys; // NULL: nothing is kept
    char **blocks;          // [capacity / block_records], those that are filled
    size_t block_count;
    uint64_t epoch;                                 // counts el_cache_drop
    struct el_cache_claim *flights[FLIGHT_BUCKETS]; // leaders
    size_t flight_count;
    struct el_cache_stats stats; // but for what el_cache_stats fills in
};

// ---- records ----

static struct record *record_of(const struct el_cache *cache, uint32_t slot) {
    char *block = cache->blocks[slot / cache->block_records];
    return (struct record *)(block + slot % cache->block_records * cache->record_bytes);
}

// The queues and the table of blocks come with the first vector, a block with the first of its records.
static int make_room(struct el_cache *cache) {
    if (!cache->blocks)
        EL_TRY(el_zalloc(cache->capacity / cache->block_records, sizeof *cache->blocks, &cache->blocks));
    if (!cache->keys) EL_TRY(el_s3fifo_open(cache->capacity, &cache->keys));
    const uint32_t count = el_s3fifo_count(cache->keys);
    if (count == cache->capacity || count < cache->block_count * cache->block_records) return 0;
    EL_TRY(el_alloc(cache->block_records, cache->record_bytes, &cache->blocks[cache->block_count]));
    cache->block_count++;
    return 0;
}

// Without memory it is not kept: the next who asks has it computed again.
static void keep(struct el_cache *cache, const struct el_hash128 *key, const float *vector, int64_t tokens) {
    if (make_room(cache) < 0) return;
    if (el_s3fifo_find(cache->keys, key) != EL_S3FIFO_NONE) return; // two leaders, one after the other left
    cache->stats.evictions += el_s3fifo_count(cache->keys) == cache->capacity;
    struct record *record = record_of(cache, el_s3fifo_insert(cache->keys, key));
    record->tokens = tokens;
    memcpy(record->vector, vector, cache->dim * sizeof *vector);
}

static struct record *find(struct el_cache *cache, const struct el_hash128 *key) {
    const uint32_t slot = cache->keys ? el_s3fifo_find(cache->keys, key) : EL_S3FIFO_NONE;
    if (slot == EL_S3FIFO_NONE) return NULL;
    cache->stats.hits++;
    return record_of(cache, slot);
}

bool el_cache_get(struct el_cache *cache, const struct el_hash128 *key, float *ret_vector,
                  int64_t *ret_tokens) {
    if (!cache) return false;
    pthread_mutex_lock(&cache->lock);
    const struct record *record = find(cache, key);
    if (record) {
        memcpy(ret_vector, record->vector, cache->dim * sizeof *ret_vector);
        *ret_tokens = record->tokens;
    }
    pthread_mutex_unlock(&cache->lock);
    return record != NULL;
}

// ---- texts being computed ----

static struct el_cache_claim **bucket_of(struct el_cache *cache, const struct el_hash128 *key) {
    return &cache->flights[key->word[0] % FLIGHT_BUCKETS];
}

// The latest leader that this claim may wait for, or NULL.
static struct el_cache_claim *find_leader(struct el_cache *cache, const struct el_cache_claim *claim) {
    struct el_cache_claim *leader = *bucket_of(cache, &claim->key);
    while (leader && !(el_hash_equal(&leader->key, &claim->key) && (leader->urgent || !claim->urgent)))
        leader = leader->next;
    return leader;
}

static void lead(struct el_cache *cache, struct el_cache_claim *claim) {
    struct el_cache_claim **bucket = bucket_of(cache, &claim->key);
    cache->stats.misses++;
    claim->epoch = cache->epoch;
    if (cache->flight_count == MOST_FLIGHTS) return;
    claim->leader = claim;
    claim->wanted = 1;
    claim->next = *bucket;
    *bucket = claim;
    cache->flight_count++;
}

static void wait_for(struct el_cache *cache, struct el_cache_claim *claim, struct el_cache_claim *leader) {
    cache->stats.coalesced++;
    claim->leader = leader;
    claim->next = leader->waiters;
    leader->waiters = claim;
    leader->wanted++;
}

// Nobody joins this leader from now on.
static void land(struct el_cache *cache, struct el_cache_claim *leader) {
    struct el_cache_claim **link = bucket_of(cache, &leader->key);
    while (*link && *link != leader)
        link = &(*link)->next;
    if (!*link) return; // it was abandoned, or one too many
    *link = leader->next;
    cache->flight_count--;
}

// A batcher may be looking.
static void abandon(struct el_cache_claim *leader) {
    __atomic_store_n(&leader->abandoned, true, __ATOMIC_RELAXED);
}

enum el_cache_answer el_cache_claim(struct el_cache *cache, struct el_cache_claim *claim, float *ret_vector) {
    enum el_cache_answer answer = EL_CACHE_LEADS;
    if (!cache) return answer;
    pthread_mutex_lock(&cache->lock);
    const struct record *record = find(cache, &claim->key);
    struct el_cache_claim *leader = find_leader(cache, claim);
    if (record) {
        memcpy(ret_vector, record->vector, cache->dim * sizeof *ret_vector);
        answer = EL_CACHE_HIT;
    } else if (leader) {
        wait_for(cache, claim, leader);
        answer = EL_CACHE_WAITS;
    } else {
        lead(cache, claim);
    }
    pthread_mutex_unlock(&cache->lock);
    return answer;
}

struct el_cache_claim *el_cache_settle(struct el_cache *cache, struct el_cache_claim *claim,
                                       const float *vector, int64_t tokens) {
    if (!cache) return NULL;
    pthread_mutex_lock(&cache->lock);
    if (vector && claim->epoch == cache->epoch) keep(cache, &claim->key, vector, tokens);
    land(cache, claim);
    claim->leader = NULL;
    struct el_cache_claim *waiters = el_steal(claim->waiters);
    for (struct el_cache_claim *waiter = waiters; waiter; waiter = waiter->next)
        waiter->leader = NULL;
    pthread_mutex_unlock(&cache->lock);
    return waiters;
}

void el_cache_leave(struct el_cache *cache, struct el_cache_claim *claim) {
    if (!cache) {
        abandon(claim);
        return;
    }
    pthread_mutex_lock(&cache->lock);
    struct el_cache_claim *leader = claim->leader;
    if (!leader) {
        abandon(claim); // it leads alone, or was answered, and then it is no matter
    } else if (--leader->wanted == 0) {
        abandon(leader);
        land(cache, leader);
    }
    pthread_mutex_unlock(&cache->lock);
}

// ---- the cache ----

// Blocks are full, so that all of them together keep to the limit.
static int plan(struct el_cache *cache, size_t limit, int dim) {
    cache->dim = (size_t)dim;
    cache->record_bytes = sizeof(struct record) + (cache->dim * sizeof(float) + 7) / 8 * 8;
    size_t records = EL_MIN(limit / (cache->record_bytes + KEY_BYTES), MOST_RECORDS);
    if (records == 0)
        return el_fail(EL_EINVAL, "a cache of %zu bytes cannot keep a vector of %d floats", limit, dim);
    cache->block_records = EL_MIN(EL_MAX(BLOCK_BYTES / cache->record_bytes, 1), records);
    cache->capacity = (uint32_t)(records - records % cache->block_records);
    return 0;
}

int el_cache_open(size_t limit, int dim, struct el_cache **ret_cache) {
    el_auto_free struct el_cache *cache = NULL;
    EL_TRY(el_zalloc(1, sizeof *cache, &cache));
    EL_TRY(plan(cache, limit, dim));
    for (int i = 0; i < EL_CACHE_KINDS; i++)
        EL_TRY(el_siphash_draw_key(&cache->secret[i]));
    pthread_mutex_init(&cache->lock, NULL);
    *ret_cache = el_steal(cache);
    return 0;
}

void el_cache_close(struct el_cache *cache) {
    if (!cache) return;
    el_cache_drop(cache);
    pthread_mutex_destroy(&cache->lock);
    el_free(cache);
}

void el_cache_key_init(const struct el_cache *cache, enum el_cache_kind kind, struct el_siphash *hash) {
    static const struct el_siphash_key none = {0};
    el_siphash_init(hash, cache ? &cache->secret[kind] : &none);
}

static size_t bytes_of(const struct el_cache *cache) {
    return (cache->keys ? el_s3fifo_bytes(cache->capacity) : 0) +
           cache->block_count * cache->block_records * cache->record_bytes;
}

size_t el_cache_drop(struct el_cache *cache) {
    if (!cache) return 0;
    pthread_mutex_lock(&cache->lock);
    const size_t bytes = bytes_of(cache);
    for (size_t i = 0; i < cache->block_count; i++)
        el_free(cache->blocks[i]);
    el_free(cache->blocks);
    el_s3fifo_close(cache->keys);
    cache->blocks = NULL;
    cache->block_count = 0;
    cache->keys = NULL;
    cache->epoch++;
    pthread_mutex_unlock(&cache->lock);
    return bytes;
}

void el_cache_stats(struct el_cache *cache, struct el_cache_stats *ret_stats) {
    *ret_stats = (struct el_cache_stats){0};
    if (!cache) return;
    pthread_mutex_lock(&cache->lock);
    *ret_stats = cache->stats;
    ret_stats->bytes = bytes_of(cache);
    ret_stats->entries = cache->keys ? el_s3fifo_count(cache->keys) : 0;
    pthread_mutex_unlock(&cache->lock);
}
