// SPDX-License-Identifier: Apache-2.0
// S3-FIFO: three queues through one array of nodes, and a hash table over them all.
#include "engine/s3fifo.h"

#include "base/error.h"
#include "base/mem.h"

enum queue_name { SMALL, MAIN, GHOST, FREE, QUEUES };
enum { MOST_USES = 3, SMALL_SHARE = 10 };

// A key that is kept, or remembered as a ghost. The links are indices; node 0 is not used, 0 ends a list.
struct node {
    struct el_hash128 key;
    uint32_t older, newer; // of its queue
    uint32_t chain;        // the next of its bucket
    uint32_t slot;         // while it is kept
    uint8_t uses;          // since it came into its queue, at most MOST_USES
    uint8_t queue;
};

struct queue {
    uint32_t oldest, newest, count;
};

struct el_s3fifo {
    uint32_t capacity, small_capacity, ghost_capacity, bucket_mask;
    uint32_t nodes_used; // the others have been in no queue yet
    struct queue queue[QUEUES];
    struct node *nodes;
    uint32_t *bucket;
};

// The sizes that follow from the capacity. As many ghosts as the main queue has places.
static struct el_s3fifo plan(uint32_t capacity) {
    struct el_s3fifo cache = {.capacity = capacity, .small_capacity = EL_MAX(capacity / SMALL_SHARE, 1)};
    cache.ghost_capacity = capacity - cache.small_capacity;
    uint32_t buckets = 1;
    while (buckets < capacity + cache.ghost_capacity)
        buckets *= 2;
    cache.bucket_mask = buckets - 1;
    return cache;
}

static size_t node_count(const struct el_s3fifo *cache) {
    return (size_t)cache->capacity + cache->ghost_capacity + 1;
}

size_t el_s3fifo_bytes(uint32_t capacity) {
    const struct el_s3fifo cache = plan(capacity);
    return sizeof cache + node_count(&cache) * sizeof *cache.nodes +
           ((size_t)cache.bucket_mask + 1) * sizeof *cache.bucket;
}

// ---- queues ----

static void push(struct el_s3fifo *cache, uint32_t index, enum queue_name name) {
    struct queue *queue = &cache->queue[name];
    struct node *node = &cache->nodes[index];
    node->queue = (uint8_t)name;
    node->older = queue->newest;
    node->newer = 0;
    *(queue->newest ? &cache->nodes[queue->newest].newer : &queue->oldest) = index;
    queue->newest = index;
    queue->count++;
}

static void take_out(struct el_s3fifo *cache, uint32_t index) {
    const struct node *node = &cache->nodes[index];
    struct queue *queue = &cache->queue[node->queue];
    *(node->older ? &cache->nodes[node->older].newer : &queue->oldest) = node->newer;
    *(node->newer ? &cache->nodes[node->newer].older : &queue->newest) = node->older;
    queue->count--;
}

static void move(struct el_s3fifo *cache, uint32_t index, enum queue_name name) {
    take_out(cache, index);
    push(cache, index, name);
}

// ---- the table ----

static uint32_t *bucket_of(const struct el_s3fifo *cache, const struct el_hash128 *key) {
    return &cache->bucket[key->word[0] & cache->bucket_mask];
}

static uint32_t look_up(const struct el_s3fifo *cache, const struct el_hash128 *key) {
    uint32_t index = *bucket_of(cache, key);
    while (index && !el_hash_equal(&cache->nodes[index].key, key))
        index = cache->nodes[index].chain;
    return index;
}

// Forgets a key altogether.
static void forget(struct el_s3fifo *cache, uint32_t index) {
    uint32_t *link = bucket_of(cache, &cache->nodes[index].key);
    while (*link != index)
        link = &cache->nodes[*link].chain;
    *link = cache->nodes[index].chain;
    move(cache, index, FREE);
}

static void add(struct el_s3fifo *cache, const struct el_hash128 *key, uint32_t slot, enum queue_name name) {
    uint32_t index = cache->queue[FREE].oldest, *bucket = bucket_of(cache, key);
    if (index)
        take_out(cache, index);
    else
        index = ++cache->nodes_used;
    cache->nodes[index] = (struct node){.key = *key, .chain = *bucket, .slot = slot};
    *bucket = index;
    push(cache, index, name);
}

// ---- the algorithm ----

uint32_t el_s3fifo_count(const struct el_s3fifo *cache) {
    return cache->queue[SMALL].count + cache->queue[MAIN].count;
}

static void remember(struct el_s3fifo *cache, uint32_t index) {
    if (cache->ghost_capacity == 0) {
        forget(cache, index);
        return;
    }
    if (cache->queue[GHOST].count == cache->ghost_capacity) forget(cache, cache->queue[GHOST].oldest);
    move(cache, index, GHOST);
}

// Lets one key of a full cache go, and returns its slot. Each step but the last uses up a use, so it ends.
static uint32_t evict(struct el_s3fifo *cache) {
    for (;;) {
        const bool from_small = cache->queue[SMALL].count >= cache->small_capacity;
        const uint32_t index = cache->queue[from_small ? SMALL : MAIN].oldest;
        struct node *node = &cache->nodes[index];
        if (from_small && node->uses > 1) {
            node->uses = 0;
            move(cache, index, MAIN);
        } else if (from_small) {
            remember(cache, index);
            return node->slot;
        } else if (node->uses > 0) {
            node->uses--;
            move(cache, index, MAIN);
        } else {
            forget(cache, index);
            return node->slot;
        }
    }
}

uint32_t el_s3fifo_find(struct el_s3fifo *cache, const struct el_hash128 *key) {
    const uint32_t index = look_up(cache, key);
    struct node *node = &cache->nodes[index];
    if (!index || node->queue == GHOST) return EL_S3FIFO_NONE;
    if (node->uses < MOST_USES) node->uses++;
    return node->slot;
}

uint32_t el_s3fifo_insert(struct el_s3fifo *cache, const struct el_hash128 *key) {
    const uint32_t ghost = look_up(cache, key), count = el_s3fifo_count(cache);
    if (ghost) forget(cache, ghost);
    const uint32_t slot = count < cache->capacity ? count : evict(cache);
    add(cache, key, slot, ghost ? MAIN : SMALL);
    return slot;
}

// ---- open and close ----

int el_s3fifo_open(uint32_t capacity, struct el_s3fifo **ret_cache) {
    el_auto_free struct el_s3fifo *cache = NULL;
    el_auto_free uint32_t *bucket = NULL;
    EL_TRY(el_alloc(1, sizeof *cache, &cache));
    *cache = plan(capacity);
    EL_TRY(el_zalloc((size_t)cache->bucket_mask + 1, sizeof *bucket, &bucket));
    EL_TRY(el_alloc(node_count(cache), sizeof *cache->nodes, &cache->nodes));
    cache->bucket = el_steal(bucket);
    *ret_cache = el_steal(cache);
    return 0;
}

void el_s3fifo_close(struct el_s3fifo *cache) {
    if (!cache) return;
    el_free(cache->bucket);
    el_free(cache->nodes);
    el_free(cache);
}
