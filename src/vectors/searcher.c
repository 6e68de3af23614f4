// SPDX-License-Identifier: Apache-2.0
// Keeping copies of rows where they are searched faster. Each device has a range of the rows; what lies
// between and behind the ranges is searched by the processor, and the lists are merged.
#include "vectors/searcher.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "vectors/best.h"
#include "vectors/codes.h"
#include "vectors/resident.h"

enum {
    LEAST_ROWS = 2048, // fewer are not worth a device
    TAIL_SHARE = 8,    // rows that were appended: the processor searches them until they are an eighth
    WORD = 64,         // rows of a filter's word, where ranges begin
};

static const uint64_t retry_after_ns = 10000000000; // a device that failed

struct range {
    int64_t first, count;
};

struct copy {
    struct range range;
    struct el_device *device;
    struct el_resident *resident;
};

struct el_searcher {
    struct el_searcher_options options;
    int64_t generation; // of what is kept
    struct el_codes *codes;
    struct copy copies[EL_MANAGER_DEVICES]; // in the order of their ranges
    int copy_count;
    int64_t followed;  // rows that there were when the copies were made
    uint64_t retry_ns; // no device is tried before
};

int el_searcher_open(const struct el_searcher_options *options, struct el_searcher **ret_searcher) {
    struct el_searcher *searcher;
    EL_TRY(el_zalloc(1, sizeof *searcher, &searcher));
    searcher->options = *options;
    searcher->generation = -1;
    *ret_searcher = searcher;
    return 0;
}

static void close_copy(struct copy *copy) {
    el_resident_close(copy->resident);
    el_device_close(copy->device);
}

static void close_copies(struct el_searcher *searcher) {
    while (searcher->copy_count > 0)
        close_copy(&searcher->copies[--searcher->copy_count]);
    searcher->followed = 0;
}

static void close_codes(struct el_searcher *searcher) {
    el_codes_close(searcher->codes);
    searcher->codes = NULL;
}

void el_searcher_close(struct el_searcher *searcher) {
    if (!searcher) return;
    close_copies(searcher);
    close_codes(searcher);
    el_free(searcher);
}

struct el_searcher_stats el_searcher_stats(const struct el_searcher *searcher) {
    struct el_searcher_stats stats = {.as_bytes = searcher->codes ? el_codes_count(searcher->codes) : 0};
    for (int i = 0; i < searcher->copy_count; i++)
        stats.on_devices += searcher->copies[i].range.count;
    return stats;
}

// ---- copies on devices ----

static int check_room(struct el_device *device, const struct el_vector_set *part) {
    const uint64_t wanted = (uint64_t)part->count * ((uint64_t)part->dim + 1) * sizeof(float);
    const uint64_t room = el_resident_room(device);
    if (wanted <= room) return 0;
    return el_fail(EL_ENOMEM, "%s has room for %" PRIu64 " MB of vectors, not for %" PRIu64, device->id,
                   room >> 20, wanted >> 20);
}

static int open_copy(struct el_searcher *searcher, const char *id, const struct el_vector_set *set,
                     struct range range) {
    const struct el_vector_set part = el_vector_part(set, range.first, range.count);
    struct copy copy = {.range = range};
    EL_TRY(el_manager_acquire(searcher->options.manager, id, &copy.device));
    int status = check_room(copy.device, &part);
    if (status == 0) status = el_resident_open(copy.device, &part, &copy.resident);
    if (status < 0) {
        close_copy(&copy);
        return status;
    }
    searcher->copies[searcher->copy_count++] = copy;
    el_debug("%" PRId64 " vectors of an index are kept on %s", range.count, id);
    return 0;
}

static void give_up(struct el_searcher *searcher, const char *id) {
    searcher->retry_ns = el_now_ns() + retry_after_ns;
    el_debug("vectors of an index are searched by the processor, not on %s: %s", id, el_error_detail());
}

static bool is_gpu(const struct el_candidate *candidate) {
    return !el_streq(candidate->kind, "cpu");
}

static int count_gpus(struct el_manager *manager) {
    int count = 0;
    for (int i = 0; i < el_manager_count(manager); i++)
        count += is_gpu(el_manager_candidate(manager, i));
    return count;
}

// Each GPU gets its share of the rows, but for the last few. What one can't take is searched by the
// processor.
static void make_copies(struct el_searcher *searcher, const struct el_vector_set *set) {
    struct el_manager *manager = searcher->options.manager;
    const int64_t gpus = count_gpus(manager), words = set->count / WORD;
    close_copies(searcher);
    for (int64_t i = 0, gpu = 0; gpu < gpus; i++) {
        const struct el_candidate *candidate = el_manager_candidate(manager, (int)i);
        if (!is_gpu(candidate)) continue;
        const int64_t first = words * gpu / gpus * WORD;
        const int64_t end = words * (gpu + 1) / gpus * WORD;
        if (open_copy(searcher, candidate->id, set, (struct range){first, end - first}) < 0)
            give_up(searcher, candidate->id);
        gpu++;
    }
    searcher->followed = set->count;
}

static void follow_on_devices(struct el_searcher *searcher, const struct el_vector_set *set) {
    const int64_t tail = set->count - searcher->followed;
    const bool grown = tail > EL_MAX(searcher->followed / TAIL_SHARE, LEAST_ROWS);
    const bool failed = searcher->retry_ns != 0 && el_now_ns() >= searcher->retry_ns;
    if (!searcher->options.manager || set->count < LEAST_ROWS) return;
    if (searcher->followed == 0 || grown || failed) {
        searcher->retry_ns = 0;
        make_copies(searcher, set);
    }
}

// ---- bytes ----

static int follow_as_bytes(struct el_searcher *searcher, const struct el_vector_set *set,
                           struct el_team *team) {
    if (!searcher->codes) EL_TRY(el_codes_open(set->dim, &searcher->codes));
    return el_codes_append(searcher->codes, set, team);
}

// Brings what is kept to the rows as they are now.
static void follow(struct el_searcher *searcher, const struct el_vector_set *set, int64_t generation,
                   struct el_team *team) {
    if (searcher->generation != generation) {
        close_copies(searcher);
        close_codes(searcher);
    }
    searcher->generation = generation;
    follow_on_devices(searcher, set);
    if (!searcher->options.bytes || searcher->copy_count > 0)
        close_codes(searcher);
    else if (follow_as_bytes(searcher, set, team) < 0)
        el_debug("vectors of an index are searched without bytes: %s", el_error_detail());
}

// ---- a search of ranges ----

struct search {
    const struct el_vector_set *set;
    const float *queries; // [count][dim]
    int count, k;
    struct el_team *team;
    struct el_hit *part;  // [count][k]: a range's lists
    struct el_best *best; // [count]
};

static int search_on_processor(const struct search *search, struct range range) {
    const struct el_vector_set part = el_vector_part(search->set, range.first, range.count);
    return el_search_exact(&part, search->queries, search->count, search->k, search->team, search->part);
}

static int search_on_device(const struct search *search, const struct copy *copy) {
    const struct el_vector_set part = el_vector_part(search->set, copy->range.first, copy->range.count);
    return el_resident_search(copy->resident, &part, search->queries, search->count, search->k, search->team,
                              search->part);
}

static void take_lists(const struct search *search, struct range range) {
    for (int64_t i = 0; i < (int64_t)search->count * search->k; i++) {
        struct el_hit hit = search->part[i];
        hit.row += range.first;
        if (search->part[i].row >= 0) el_best_offer(&search->best[i / search->k], hit);
    }
}

// A range that lies before a copy's or behind them all.
static int search_gap(const struct search *search, int64_t first, int64_t end) {
    const struct range gap = {first, end - first};
    if (gap.count == 0) return 0;
    EL_TRY(search_on_processor(search, gap));
    take_lists(search, gap);
    return 0;
}

// A device that fails loses its copy, until it is tried again.
static int search_copy(struct el_searcher *searcher, const struct search *search, int i) {
    struct copy *copy = &searcher->copies[i];
    const struct range range = copy->range;
    if (search_on_device(search, copy) < 0) {
        give_up(searcher, copy->device->id);
        close_copy(copy);
        searcher->copy_count--;
        memmove(copy, copy + 1, (size_t)(searcher->copy_count - i) * sizeof *copy);
        EL_TRY(search_on_processor(search, range));
    }
    take_lists(search, range);
    return 0;
}

static int search_ranges(struct el_searcher *searcher, const struct search *search) {
    int64_t searched = 0;
    for (int i = 0; i < searcher->copy_count;) {
        const int before = searcher->copy_count;
        const struct range range = searcher->copies[i].range;
        EL_TRY(search_gap(search, searched, range.first));
        EL_TRY(search_copy(searcher, search, i));
        searched = range.first + range.count;
        if (searcher->copy_count == before) i++;
    }
    return search_gap(search, searched, search->set->count);
}

static int open_search(struct search *search, struct el_arena *arena) {
    const size_t hits = (size_t)search->count * (size_t)search->k;
    EL_TRY(el_arena_alloc(arena, hits, sizeof *search->part, &search->part));
    return el_best_alloc(arena, search->count, search->k, &search->best);
}

static int search_and_merge(struct el_searcher *searcher, struct search *search, struct el_hit *ret_hits) {
    struct el_arena arena;
    el_arena_init(&arena);
    int status = open_search(search, &arena);
    if (status == 0) status = search_ranges(searcher, search);
    for (int i = 0; status == 0 && i < search->count; i++)
        el_best_list(&search->best[i], search->k, ret_hits + (int64_t)i * search->k);
    el_arena_done(&arena);
    return status;
}

int el_searcher_search(struct el_searcher *searcher, const struct el_vector_set *set, int64_t generation,
                       const float *queries, int count, int k, struct el_team *team,
                       struct el_hit *ret_hits) {
    struct el_vector_set whole = *set;
    EL_TRY(el_search_check(set, queries, count, k));
    if (searcher) {
        follow(searcher, set, generation, team);
        whole.codes = searcher->codes;
    }
    if (!searcher || searcher->copy_count == 0)
        return el_search_exact(&whole, queries, count, k, team, ret_hits);
    struct search search = {.set = &whole, .queries = queries, .count = count, .k = k, .team = team};
    return search_and_merge(searcher, &search, ret_hits);
}
