// SPDX-License-Identifier: Apache-2.0
// `eleanor index add` when a launcher has started several, and `index merge`, which joins what they wrote.
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/progress.h"
#include "cmd/index/index.h"
#include "service/parts.h"

// A process that does less than was asked for says so.
static void tell_share(const struct el_index_wish *wish, const struct el_shard *shard) {
    fprintf(stderr, "eleanor index: share %" PRId64 " of %" PRId64 " (%s), for `index merge %s`\n",
            shard->rank, shard->size, shard->from, wish->name);
}

int el_index_target_open(const struct el_index_wish *wish, struct el_index_target *ret_target) {
    struct el_index_target target = {0};
    EL_TRY(el_shard_find(wish->shard, &target.shard));
    if (target.shard.size > 1 && wish->update)
        return el_fail(EL_EINVAL,
                       "--update looks for what is gone from the whole index: run it once more alone, "
                       "behind `index merge`");
    if (target.shard.size == 1 || wish->dry_run) {
        EL_TRY(el_search_open(wish->root, wish->name, !wish->dry_run, &target.index));
    } else {
        EL_TRY(el_search_open(wish->root, wish->name, false, &target.whole));
        int status = el_parts_open(wish->root, wish->name, target.whole, &target.shard, &target.index);
        if (status < 0) el_index_target_close(&target);
        EL_TRY(status);
        tell_share(wish, &target.shard);
    }
    *ret_target = target;
    return 0;
}

void el_index_target_close(struct el_index_target *target) {
    el_index_close(target->index);
    el_index_close(target->whole);
    *target = (struct el_index_target){0};
}

int el_index_target_find_all(const struct el_index_target *target, const struct el_index_document *documents,
                             size_t count, struct el_index_known *inout_known) {
    EL_TRY(el_index_find_all(target->index, documents, count, inout_known));
    return target->whole ? el_index_find_all(target->whole, documents, count, inout_known) : 0;
}

int el_index_target_drop_known(const struct el_index_target *target, struct el_index_document *documents,
                               size_t *inout_count, float *vectors) {
    struct el_index_known *known el_auto_free = NULL;
    EL_TRY(el_zalloc(*inout_count, sizeof *known, &known));
    EL_TRY(el_index_target_find_all(target, documents, *inout_count, known));
    el_index_drop_known(target->index, known, documents, inout_count, vectors);
    return 0;
}

static void tell_progress(void *context, int64_t documents) {
    el_progress_set(context, (uint64_t)documents);
}

int el_index_merge_parts(const struct el_index_wish *wish) {
    struct el_index *index = NULL;
    struct el_progress progress;
    int64_t added;
    EL_TRY(el_search_open(wish->root, wish->name, true, &index));
    el_progress_open(&progress, stderr);
    el_progress_start(&progress, wish->name, "documents", 0, 0);
    int status = el_parts_merge(wish->root, wish->name, index, tell_progress, &progress, &added);
    el_progress_finish(&progress);
    el_index_close(index);
    if (status < 0) return status;
    printf(wish->json ? "{\"index\":\"%s\",\"added\":%" PRId64 "}\n"
                      : "%s: %" PRId64 " documents of parts added\n",
           wish->name, added);
    return 0;
}
