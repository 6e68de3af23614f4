// SPDX-License-Identifier: Apache-2.0
// Making inverted lists: a sample is held out, centroids are trained on another, every row goes to its list,
// and the sample says how many of a query's nearest rows so many lists hold.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "vectors/assigner.h"
#include "vectors/ivf_file.h"
#include "vectors/ivf_recall.h"
#include "vectors/kmeans.h"
#include "vectors/score.h"

enum {
    ITERATIONS = 10,
    TRAINED_PER_LIST = 128, // rows that centroids are trained on
};

// What is being made, of facts.rows rows.
struct building {
    const struct el_vector_set *set;
    const struct el_ivf_options *options;
    struct el_ivf ivf;
    float *origin, *centroids; // [dim], [lists][dim]
    int32_t *list_of;          // [rows]
    int64_t *starts, *order;   // by list: el_partition_group
    struct el_ivf_sample sample;
};

static void building_done(struct building *building) {
    el_linear_close(building->ivf.packed);
    el_map_close(&building->ivf.map);
    el_free(building->origin);
    el_free(building->centroids);
    el_free(building->list_of);
    el_free(building->starts);
    el_free(building->order);
    el_ivf_sample_done(&building->sample);
}

// ---- centroids ----

// Twice the root: a search then reads a few percent of the rows, and about as many centroids.
static int lists_for(int64_t rows) {
    return (int)EL_MAX(1, 2 * sqrt((double)rows));
}

// One of each of `wanted` runs of rows, less those that are held out.
static int draw_trained(const struct building *building, int64_t **ret_numbers, int64_t *ret_count) {
    const int64_t rows = building->ivf.facts.rows;
    const int64_t wanted = EL_MIN(rows, TRAINED_PER_LIST * (int64_t)building->ivf.facts.lists);
    uint64_t state = building->options->seed;
    int64_t count = 0, *numbers;
    EL_TRY(el_alloc((size_t)wanted, sizeof *numbers, &numbers));
    for (int64_t i = 0; i < wanted; i++) {
        const int64_t first = rows * i / wanted, end = rows * (i + 1) / wanted;
        const int64_t row = first + el_draw(&state, end - first);
        if (!el_ivf_sample_has(&building->sample, row)) numbers[count++] = row;
    }
    *ret_numbers = numbers;
    *ret_count = count;
    return 0;
}

// By squared distance, rows count from their mean: what is common to all would only cost digits.
static void find_origin(const struct building *building, const int64_t *numbers, int64_t count) {
    const int dim = building->set->dim;
    memset(building->origin, 0, (size_t)dim * sizeof *building->origin);
    if (building->set->metric != EL_METRIC_L2) return;
    for (int64_t i = 0; i < count; i++)
        for (int d = 0; d < dim; d++)
            building->origin[d] += building->set->rows[numbers[i] * dim + d] / (float)count;
}

static int train(struct building *building) {
    struct el_row_source source = {.rows = building->set->rows,
                                   .dim = building->set->dim,
                                   .origin = building->origin,
                                   .device = building->options->device};
    const int lists = building->ivf.facts.lists;
    int64_t *numbers el_auto_free = NULL;
    EL_TRY(draw_trained(building, &numbers, &source.count));
    if (source.count < lists)
        return el_fail(EL_EINVAL, "%" PRId64 " rows can't be parted into %d lists", building->ivf.facts.rows,
                       lists);
    find_origin(building, numbers, source.count);
    source.numbers = numbers;
    return el_kmeans(&source, lists, ITERATIONS, building->options->seed, building->options->team,
                     building->centroids);
}

// ---- lists ----

static int part_rows(struct building *building) {
    const struct el_ivf_facts *facts = &building->ivf.facts;
    const struct el_row_source source = {.rows = building->set->rows,
                                         .dim = facts->dim,
                                         .origin = building->origin,
                                         .count = facts->rows,
                                         .device = building->options->device};
    struct el_assigner *assigner;
    EL_TRY(el_alloc((size_t)facts->rows, sizeof *building->list_of, &building->list_of));
    EL_TRY(el_alloc((size_t)facts->rows, sizeof *building->order, &building->order));
    EL_TRY(el_alloc((size_t)facts->lists + 1, sizeof *building->starts, &building->starts));
    EL_TRY(el_assigner_open(&source, building->options->team, &assigner));
    const int status = el_assigner_assign(assigner, building->centroids, facts->lists, building->list_of);
    el_assigner_close(assigner);
    EL_TRY(status);
    el_partition_group(building->list_of, facts->rows, facts->lists, building->starts, building->order);
    return 0;
}

// |row - origin|^2
static double square_of(const float *row, const float *origin, int dim) {
    double square = 0;
    for (int d = 0; d < dim; d++) {
        const double x = (double)row[d] - (double)origin[d];
        square += x * x;
    }
    return square;
}

// Row i of list l, at `at` among those of all panels.
static double write_row(const struct building *building, int l, int64_t i, int64_t at) {
    const struct el_ivf *ivf = &building->ivf;
    const int dim = ivf->facts.dim;
    const int64_t number = building->order[building->starts[l] + i];
    const float *row = building->set->rows + number * dim;
    el_quantise_row(row, ivf->origin, ivf->centroids + (int64_t)l * dim, dim, (int)(at % EL_REACH_ROWS),
                    el_ivf_panel(ivf, at / EL_REACH_ROWS), &ivf->scales[at], &ivf->entries[l].spread);
    ivf->numbers[at] = number;
    return square_of(row, ivf->origin, dim);
}

static void write_list(void *context, int l, int worker) {
    const struct building *building = context;
    const struct el_ivf *ivf = &building->ivf;
    struct el_ivf_list *list = &ivf->entries[l];
    const float *centroid = ivf->centroids + (int64_t)l * ivf->facts.dim;
    const double own = (double)el_exact_score(EL_METRIC_IP, centroid, centroid, ivf->facts.dim);
    int64_t at = list->first_panel * EL_REACH_ROWS;
    double longest = own;
    (void)worker;
    for (int64_t i = 0; i < list->rows; i++, at++) {
        const double square = write_row(building, l, i, at);
        if (ivf->facts.metric == EL_METRIC_L2) ivf->offsets[at] = (float)((square - own) / 2);
        longest = fmax(longest, square);
    }
    list->longest = sqrt(longest) * 1.000001; // the squares are rounded
    for (; at % EL_REACH_ROWS; at++) {
        ivf->numbers[at] = -1;
        ivf->offsets[at] = INFINITY;
    }
}

static int write_lists(struct building *building) {
    struct el_ivf *ivf = &building->ivf;
    const size_t dim = (size_t)ivf->facts.dim, lists = (size_t)ivf->facts.lists;
    int64_t panel = 0;
    memcpy(ivf->origin, building->origin, dim * sizeof(float));
    memcpy(ivf->centroids, building->centroids, lists * dim * sizeof(float));
    for (int l = 0; l < ivf->facts.lists; l++) {
        const int64_t rows = building->starts[l + 1] - building->starts[l];
        ivf->entries[l] = (struct el_ivf_list){.first_panel = panel, .rows = rows};
        panel += el_reach_panels(rows);
    }
    el_team_run(building->options->team, ivf->facts.lists, write_list, building);
    EL_TRY(el_ivf_pack(ivf));
    return el_ivf_measure_recall(&building->sample, building->set, building->list_of, building->options->team,
                                 ivf);
}

// ---- the file ----

// A file with room for all, mapped; a disk that is full says so here.
static int map_file(struct building *building, int fd, const char *path) {
    struct el_ivf *ivf = &building->ivf;
    struct el_ivf_layout layout;
    for (int l = 0; l < ivf->facts.lists; l++)
        ivf->panels += el_reach_panels(building->starts[l + 1] - building->starts[l]);
    if (!el_ivf_layout(ivf->facts.dim, ivf->facts.lists, ivf->panels, &layout))
        return el_fail(EL_EINVAL, "%s: %" PRId64 " rows are too many", path, ivf->facts.rows);
    const int error = posix_fallocate(fd, 0, (off_t)layout.end);
    if (error) return el_fail(EL_EIO, "cannot write %s: %s", path, strerror(error));
    void *map = mmap(NULL, layout.end, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return el_fail(errno == ENOMEM ? EL_ENOMEM : EL_EIO, "cannot map %s: %s", path, strerror(errno));
    ivf->map = (struct el_map){map, layout.end};
    el_ivf_place(ivf, &layout, map);
    return 0;
}

static int write_file(struct building *building, int fd, const char *path) {
    EL_TRY(map_file(building, fd, path));
    EL_TRY(write_lists(building));
    if (msync((void *)(uintptr_t)building->ivf.map.data, building->ivf.map.size, MS_SYNC) < 0)
        return el_fail(EL_EIO, "cannot write %s: %s", path, strerror(errno));
    EL_TRY(el_ivf_write_head(fd, path, &building->ivf));
    return el_sync(fd, path);
}

// Beside `path`, then in its place.
static int write_and_rename(struct building *building, const char *path) {
    struct el_str beside el_auto(el_str_done) = {0};
    EL_TRY(el_str_printf(&beside, "%s.new", path));
    const int fd = open(beside.data, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return el_fail(EL_EIO, "cannot make %s: %s", beside.data, strerror(errno));
    int status = write_file(building, fd, beside.data);
    close(fd);
    if (status == 0 && rename(beside.data, path) < 0)
        status = el_fail(EL_EIO, "cannot rename %s: %s", beside.data, strerror(errno));
    if (status < 0) unlink(beside.data);
    return status;
}

static int build(struct building *building, const char *path) {
    const struct el_ivf_facts *facts = &building->ivf.facts;
    const size_t dim = (size_t)facts->dim;
    EL_TRY(el_alloc(dim, sizeof(float), &building->origin));
    EL_TRY(el_alloc((size_t)facts->lists * dim, sizeof(float), &building->centroids));
    EL_TRY(el_ivf_sample_draw(building->set, facts->rows, building->options->seed, &building->sample));
    EL_TRY(train(building));
    EL_TRY(part_rows(building));
    return write_and_rename(building, path);
}

int el_ivf_build(const char *path, const struct el_vector_set *set, uint64_t id,
                 const struct el_ivf_options *options) {
    const int64_t rows = set->count / EL_IVF_UNIT * EL_IVF_UNIT;
    struct building building = {.set = set, .options = options};
    building.ivf.units = el_reach_units(set->dim);
    building.ivf.facts = (struct el_ivf_facts){.id = id,
                                               .dim = set->dim,
                                               .metric = set->metric,
                                               .rows = rows,
                                               .lists = options->lists ? options->lists : lists_for(rows)};
    if (rows == 0)
        return el_fail(EL_EINVAL, "%" PRId64 " rows are too few for lists: at least %d", set->count,
                       EL_IVF_UNIT);
    const int status = build(&building, path);
    building_done(&building);
    return status;
}
