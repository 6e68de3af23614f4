// SPDX-License-Identifier: Apache-2.0
// Making and using the inverted lists of an index.
#include "index/lists.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "index/embedded.h"
#include "index/folder.h"
#include "vectors/searcher.h"

enum {
    LEAST_ROWS = 10000, // fewer are searched faster as they are
    TAIL_SHARE = 3,     // one of so many rows may be in no list
    SEED = 1,
};
static const double default_recall = 0.95; // docs/ivf.md

void el_lists_done(struct el_lists *lists) {
    el_ivf_close(lists->ivf);
    *lists = (struct el_lists){0};
}

static bool is_same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int open_lists(struct el_embedded *index, const char *path) {
    struct el_ivf *ivf;
    EL_TRY(el_ivf_open(path, &ivf));
    const struct el_ivf_facts *facts = el_ivf_facts(ivf);
    if (facts->id == el_vector_file_id(index->file) && facts->dim == index->base.facts.dim &&
        facts->metric == index->base.facts.metric && facts->rows <= el_vector_file_count(index->file)) {
        index->lists.ivf = ivf;
        return 0;
    }
    el_ivf_close(ivf);
    return el_fail(EL_EFORMAT, "%s holds lists of other vectors; `compact` makes them anew", path);
}

// Sees the lists as they are now. What is wrong with those that can't be used is said once.
static int follow(struct el_embedded *index) {
    char *path el_auto_free = NULL;
    struct el_lists *lists = &index->lists;
    struct stat file = {0};
    if (index->base.facts.kind != EL_INDEX_IVF) return 0;
    EL_TRY(el_index_ivf_path(index->folder, index->generation, &path));
    if (stat(path, &file) < 0) {
        el_lists_done(lists);
        return 0;
    }
    if (lists->generation == index->generation && is_same_file(&file, &lists->file)) return 0;
    el_lists_done(lists);
    lists->generation = index->generation;
    lists->file = file;
    return open_lists(index, path);
}

static const struct el_ivf *lists_of(struct el_embedded *index) {
    if (follow(index) < 0) el_debug("every row is searched: %s", el_error_detail());
    return index->lists.ivf;
}

// ---- searching ----

// A filter that leaves one row in ten makes of the 10 nearest what are the 100 nearest without it.
static int64_t depth_of(const struct el_embedded *index, const struct el_vector_set *set, int k) {
    if (!set->allowed) return k;
    return (int64_t)ceil((double)k * (double)set->count / (double)EL_MAX(index->allowed.count, 1));
}

int el_lists_search(struct el_embedded *index, const struct el_vector_set *set,
                    const struct el_index_query *query, int k, struct el_query_stats *ret_stats,
                    struct el_hit *ret_hits) {
    const struct el_ivf *ivf = lists_of(index);
    const double own = (double)index->base.facts.recall;
    const double wanted = query->recall > 0 ? query->recall : own > 0 ? own : default_recall;
    double recall = 1;
    const int probes = ivf ? el_ivf_probes(ivf, depth_of(index, set, k), wanted, &recall) : 0;
    const int count = (int)query->count;
    if (probes)
        EL_TRY(el_ivf_search(ivf, set, query->vectors, count, k, probes, query->team, ret_hits));
    else
        EL_TRY(el_searcher_search(query->searcher, set, index->generation, query->vectors, count, k,
                                  query->team, ret_hits));
    ret_stats->probes = probes;
    ret_stats->recall = recall;
    return 0;
}

// ---- making ----

// The first GPU; NULL where there is none, or it can't be had.
static struct el_device *acquire_gpu(struct el_manager *manager) {
    struct el_device *device = NULL;
    for (int i = 0; manager && i < el_manager_count(manager) && !device; i++) {
        const struct el_candidate *candidate = el_manager_candidate(manager, i);
        if (el_streq(candidate->kind, "cpu")) continue;
        if (el_manager_acquire(manager, candidate->id, &device) < 0)
            el_debug("inverted lists are made without %s: %s", candidate->id, el_error_detail());
    }
    return device;
}

static int make(struct el_embedded *index, const char *path) {
    const struct el_vector_set set = {.dim = index->base.facts.dim,
                                      .metric = index->base.facts.metric,
                                      .count = el_vector_file_count(index->file),
                                      .rows = el_vector_file_rows(index->file)};
    struct el_ivf_options options = {.seed = SEED};
    EL_TRY(el_team_open(el_cpu_count(), false, &options.team));
    options.device = acquire_gpu(index->base.manager);
    const int status = el_ivf_build(path, &set, el_vector_file_id(index->file), &options);
    el_device_close(options.device);
    el_team_close(options.team);
    return status < 0 ? status : el_sync_folder(index->folder);
}

int el_lists_make(struct el_embedded *index) {
    char *path el_auto_free = NULL;
    if (index->base.facts.kind != EL_INDEX_IVF || el_vector_file_count(index->file) < LEAST_ROWS) return 0;
    EL_TRY(el_index_ivf_path(index->folder, index->generation, &path));
    const int status = make(index, path);
    return status < 0 ? el_fail_in(status, "the inverted lists of %s", index->folder) : 0;
}

void el_lists_keep_up(struct el_embedded *index) {
    if (index->base.facts.kind != EL_INDEX_IVF) return;
    const struct el_ivf *ivf = lists_of(index);
    const int64_t rows = el_vector_file_count(index->file), listed = ivf ? el_ivf_facts(ivf)->rows : 0;
    if (TAIL_SHARE * (rows - listed) < rows) return;
    if (el_lists_make(index) < 0) el_debug("%s", el_error_detail());
}

int el_lists_verify(struct el_embedded *index) {
    el_lists_done(&index->lists);
    EL_TRY(follow(index));
    return index->lists.ivf ? el_ivf_verify(index->lists.ivf) : 0;
}

void el_lists_tell(struct el_embedded *index, struct el_index_stats *stats) {
    const struct el_ivf *ivf = lists_of(index);
    stats->lists = ivf ? el_ivf_facts(ivf)->lists : 0;
    stats->listed = ivf ? el_ivf_facts(ivf)->rows : 0;
}
