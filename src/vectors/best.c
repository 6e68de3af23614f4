// SPDX-License-Identifier: Apache-2.0
// A bounded heap of hits.
#include "vectors/best.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

int el_best_alloc(struct el_arena *arena, int64_t count, int64_t k, struct el_best **ret_bests) {
    struct el_best *bests;
    struct el_hit *hits;
    EL_TRY(el_arena_alloc(arena, (size_t)count, sizeof *bests, &bests));
    EL_TRY(el_arena_alloc(arena, (size_t)count * (size_t)k, sizeof *hits, &hits));
    for (int64_t i = 0; i < count; i++)
        bests[i] = (struct el_best){.hits = hits + i * k, .capacity = k};
    *ret_bests = bests;
    return 0;
}

static bool is_worse(struct el_hit a, struct el_hit b) {
    return a.score < b.score || (a.score == b.score && a.row > b.row);
}

// Best first: by the larger score, then the lower row.
static int compare_hits(const void *a, const void *b) {
    const struct el_hit *left = a, *right = b;
    return is_worse(*left, *right) - is_worse(*right, *left);
}

float el_best_least(const struct el_best *best) {
    return best->count < best->capacity ? -INFINITY : best->hits[0].score;
}

// Puts the hit where it belongs above `place`, which is free.
static void sift_up(struct el_hit *hits, int64_t place, struct el_hit hit) {
    while (place > 0) {
        const int64_t parent = (place - 1) / 2;
        if (!is_worse(hit, hits[parent])) break;
        hits[place] = hits[parent];
        place = parent;
    }
    hits[place] = hit;
}

// Puts the hit where it belongs below the root, which is free.
static void sift_down(struct el_hit *hits, int64_t count, struct el_hit hit) {
    int64_t place = 0, child;
    while ((child = 2 * place + 1) < count) {
        if (child + 1 < count && is_worse(hits[child + 1], hits[child])) child++;
        if (!is_worse(hits[child], hit)) break;
        hits[place] = hits[child];
        place = child;
    }
    hits[place] = hit;
}

void el_best_offer(struct el_best *best, struct el_hit hit) {
    if (isnan(hit.score)) return;
    if (best->count < best->capacity)
        sift_up(best->hits, best->count++, hit);
    else if (is_worse(best->hits[0], hit))
        sift_down(best->hits, best->count, hit);
}

void el_best_list(struct el_best *best, int64_t wanted, struct el_hit *ret_hits) {
    qsort(best->hits, (size_t)best->count, sizeof *best->hits, compare_hits);
    memcpy(ret_hits, best->hits, (size_t)best->count * sizeof *ret_hits);
    for (int64_t i = best->count; i < wanted; i++)
        ret_hits[i] = (struct el_hit){-1, -INFINITY};
}
