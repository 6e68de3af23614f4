// SPDX-License-Identifier: Apache-2.0
// Opening, checking and heading the file of inverted lists.
#include "vectors/ivf_file.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "vectors/file.h"
#include "vectors/partition.h"

enum { VERSION = 1, HEAD_SIZE = 4096 };

struct head {
    char magic[8];
    uint32_t version, dim, metric, lists;
    uint64_t id, rows, panels;
    struct el_hash128 directory_sum, rest_sum;
    uint8_t unused[HEAD_SIZE - 96];
    struct el_hash128 sum; // of what stands before it
};
_Static_assert(sizeof(struct head) == HEAD_SIZE && sizeof(struct el_ivf_list) == 40,
               "laid out as in the file");

static const char magic[8] = "ELIVFLST";

// The next part: *inout_end moves behind `count` elements and up to a cache line.
static bool place(int64_t count, size_t size, uint64_t *inout_end, uint64_t *ret_begin) {
    size_t bytes, end;
    if (count < 0 || !el_mul_size((size_t)count, size, &bytes) || bytes > INT64_MAX / 2) return false;
    if (!el_add_size(*inout_end, bytes + EL_CACHE_LINE - 1, &end) || end > INT64_MAX) return false;
    *ret_begin = *inout_end;
    *inout_end = end / EL_CACHE_LINE * EL_CACHE_LINE;
    return true;
}

bool el_ivf_layout(int64_t dim, int64_t lists, int64_t panels, struct el_ivf_layout *ret_layout) {
    enum { MOST_PANELS = 1 << 30 }; // with at most 2^16 dimensions and 2^31 lists, no product overflows
    struct el_ivf_layout layout = {.end = HEAD_SIZE};
    if (dim < 1 || dim > EL_VECTOR_MAX_DIM || lists < 1 || lists > INT32_MAX || panels > MOST_PANELS)
        return false;
    const int64_t units = el_reach_units((int)dim);
#define X(name, type, count) \
    if (!place(count, sizeof(type), &layout.end, &layout.name)) return false;
    EL_IVF_PARTS(X)
#undef X
    *ret_layout = layout;
    return true;
}

void el_ivf_place(struct el_ivf *ivf, const struct el_ivf_layout *layout, uint8_t *bytes) {
#define X(name, type, count) ivf->name = (type *)(void *)(bytes + layout->name);
    EL_IVF_PARTS(X)
#undef X
}

// ---- the centroids ----

int el_ivf_pack(struct el_ivf *ivf) {
    return el_partition_pack(NULL, ivf->centroids, ivf->facts.lists, ivf->facts.dim, ivf->facts.metric,
                             &ivf->packed);
}

int el_ivf_rate_lists(const struct el_ivf *ivf, const float *queries, int64_t count, struct el_team *team,
                      float *ret_scores) {
    struct el_exec exec = {.team = team};
    EL_TRY(el_ops_find(NULL, &exec.ops));
    const struct el_tensor in = el_tensor_2d(EL_F32, (void *)(uintptr_t)queries, count, ivf->facts.dim);
    struct el_tensor out = el_tensor_2d(EL_F32, ret_scores, count, ivf->facts.lists);
    el_arena_init(&exec.scratch);
    const int status = exec.ops->linear(&exec, &in, ivf->packed, EL_ACT_NONE, NULL, &out);
    el_exec_close(&exec);
    return status;
}

// ---- writing and opening ----

static struct el_hash128 sum_between(const void *begin, const void *end) {
    return el_siphash_of(NULL, begin, (size_t)((const char *)end - (const char *)begin));
}

int el_ivf_write_head(int fd, const char *path, const struct el_ivf *ivf) {
    struct head head = {.version = VERSION,
                        .dim = (uint32_t)ivf->facts.dim,
                        .metric = (uint32_t)ivf->facts.metric,
                        .lists = (uint32_t)ivf->facts.lists,
                        .id = ivf->facts.id,
                        .rows = (uint64_t)ivf->facts.rows,
                        .panels = (uint64_t)ivf->panels};
    memcpy(head.magic, magic, sizeof magic);
    head.directory_sum = sum_between(ivf->origin, ivf->numbers);
    head.rest_sum = sum_between(ivf->numbers, ivf->map.data + ivf->map.size);
    head.sum = el_siphash_of(NULL, &head, offsetof(struct head, sum));
    return el_write_at(fd, path, &head, sizeof head, 0);
}

static int damaged(const struct el_ivf *ivf, const char *what) {
    return el_fail(EL_ECHECKSUM, "%s is damaged: %s", ivf->path, what);
}

static int read_head(struct el_ivf *ivf, struct el_ivf_layout *ret_layout) {
    const struct head *head = (const void *)ivf->map.data;
    if (ivf->map.size < sizeof *head || memcmp(head->magic, magic, sizeof magic) != 0)
        return el_fail(EL_EFORMAT, "%s holds no inverted lists", ivf->path);
    const struct el_hash128 sum = el_siphash_of(NULL, head, offsetof(struct head, sum));
    if (!el_hash_equal(&head->sum, &sum)) return damaged(ivf, "its first page is not what was written");
    if (head->version != VERSION)
        return el_fail(EL_EUNSUPPORTED, "%s has version %" PRIu32 ", this program reads %d", ivf->path,
                       head->version, VERSION);
    if (head->metric > EL_METRIC_L2 || head->panels > INT64_MAX || head->rows > INT64_MAX ||
        !el_ivf_layout(head->dim, head->lists, (int64_t)head->panels, ret_layout))
        return el_fail(EL_EFORMAT, "%s holds lists that can't be", ivf->path);
    if (ivf->map.size != ret_layout->end) return damaged(ivf, "it has another length than its lists");
    ivf->panels = (int64_t)head->panels;
    ivf->units = el_reach_units((int)head->dim);
    ivf->facts = (struct el_ivf_facts){.id = head->id,
                                       .dim = (int)head->dim,
                                       .metric = (enum el_metric)head->metric,
                                       .rows = (int64_t)head->rows,
                                       .lists = (int)head->lists,
                                       .bytes = ivf->map.size};
    return 0;
}

static int check_directory(const struct el_ivf *ivf) {
    const struct head *head = (const void *)ivf->map.data;
    const struct el_hash128 sum = sum_between(ivf->origin, ivf->numbers);
    int64_t panel = 0, rows = 0;
    if (!el_hash_equal(&head->directory_sum, &sum))
        return damaged(ivf, "its directory is not what was written");
    for (int l = 0; l < ivf->facts.lists; l++) {
        const struct el_ivf_list *list = &ivf->entries[l];
        if (list->first_panel != panel || list->rows < 0 || list->rows > ivf->facts.rows - rows) break;
        panel += el_reach_panels(list->rows);
        rows += list->rows;
    }
    return panel == ivf->panels && rows == ivf->facts.rows ? 0 : damaged(ivf, "its lists don't fit its rows");
}

static int read_all(struct el_ivf *ivf, const char *path) {
    struct el_ivf_layout layout;
    EL_TRY(el_strdup(path, &ivf->path));
    EL_TRY(el_map_open(path, &ivf->map));
    EL_TRY(read_head(ivf, &layout));
    el_ivf_place(ivf, &layout, (uint8_t *)(uintptr_t)ivf->map.data); // which nobody writes
    EL_TRY(check_directory(ivf));
    return el_ivf_pack(ivf);
}

int el_ivf_open(const char *path, struct el_ivf **ret_ivf) {
    struct el_ivf *ivf;
    EL_TRY(el_zalloc(1, sizeof *ivf, &ivf));
    const int status = read_all(ivf, path);
    if (status < 0)
        el_ivf_close(ivf);
    else
        *ret_ivf = ivf;
    return status;
}

void el_ivf_close(struct el_ivf *ivf) {
    if (!ivf) return;
    el_linear_close(ivf->packed);
    el_map_close(&ivf->map);
    el_free(ivf->path);
    el_free(ivf);
}

const struct el_ivf_facts *el_ivf_facts(const struct el_ivf *ivf) {
    return &ivf->facts;
}

int el_ivf_verify(const struct el_ivf *ivf) {
    const struct head *head = (const void *)ivf->map.data;
    const struct el_hash128 sum = sum_between(ivf->numbers, ivf->map.data + ivf->map.size);
    return el_hash_equal(&head->rest_sum, &sum) ? 0 : damaged(ivf, "its rows are not what was written");
}

// ---- recall ----

int el_ivf_probes(const struct el_ivf *ivf, int64_t k, double recall, double *ret_recall) {
    const int lists = ivf->facts.lists;
    if (k > EL_IVF_MOST_K) return 0;
    const float *curve = ivf->curves + (k > EL_IVF_FEW_K ? lists : 0);
    int probes = 1;
    while (probes < lists && (recall >= 1 || (double)curve[probes - 1] < recall))
        probes++;
    *ret_recall = (double)curve[probes - 1];
    return probes;
}
