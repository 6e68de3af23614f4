// SPDX-License-Identifier: Apache-2.0
// Lloyd's iterations: rows go to the nearest centroid, centroids to the mean of their rows. Each mean is
// summed by one thread in the order of the rows.
#include "vectors/kmeans.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "vectors/assigner.h"

int64_t el_draw(uint64_t *state, int64_t limit) {
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (int64_t)((z ^ z >> 31) % (uint64_t)limit);
}

struct kmeans {
    const struct el_row_source *source;
    struct el_assigner *assigner;
    int lists;
    int32_t *list_of; // [count]
    int64_t *starts;  // [lists + 1]
    int64_t *order;   // [count]
    float *centroids; // [lists][dim]
    double *sums;     // [threads][dim]
};

// One row of each of as many runs of rows as there are lists.
static void draw_centroids(struct kmeans *kmeans, uint64_t seed) {
    const int64_t count = kmeans->source->count;
    for (int64_t l = 0; l < kmeans->lists; l++) {
        const int64_t first = count * l / kmeans->lists, end = count * (l + 1) / kmeans->lists;
        el_source_gather(kmeans->source, first + el_draw(&seed, end - first), 1,
                         kmeans->centroids + l * kmeans->source->dim);
    }
}

static void move_centroid(void *context, int list, int worker) {
    const struct kmeans *kmeans = context;
    const struct el_row_source *source = kmeans->source;
    const int64_t first = kmeans->starts[list], end = kmeans->starts[list + 1];
    double *sums = kmeans->sums + (int64_t)worker * source->dim;
    if (first == end) return;
    memset(sums, 0, (size_t)source->dim * sizeof *sums);
    for (int64_t i = first; i < end; i++) {
        const float *row = el_source_row(source, kmeans->order[i]);
        for (int d = 0; d < source->dim; d++)
            sums[d] += (double)row[d];
    }
    float *centroid = kmeans->centroids + (int64_t)list * source->dim;
    for (int d = 0; d < source->dim; d++)
        centroid[d] = (float)(sums[d] / (double)(end - first) - (double)source->origin[d]);
}

// An empty list gets a centroid beside that of the largest, which then counts as half as large: the two lie
// a thousandth apart, to either side of where it was.
static void fill_empty(struct kmeans *kmeans, int64_t *sizes) {
    const int dim = kmeans->source->dim;
    for (int l = 0; l < kmeans->lists; l++) {
        if (sizes[l]) continue;
        int largest = 0;
        for (int other = 1; other < kmeans->lists; other++)
            if (sizes[other] > sizes[largest]) largest = other;
        float *from = kmeans->centroids + (int64_t)largest * dim, *to = kmeans->centroids + (int64_t)l * dim;
        for (int d = 0; d < dim; d++) {
            const float away = from[d] * (d % 2 ? 0x1p-10f : -0x1p-10f);
            to[d] = from[d] + away;
            from[d] -= away;
        }
        sizes[l] = sizes[largest] / 2;
        sizes[largest] -= sizes[l];
    }
}

static int iterate(struct kmeans *kmeans, int64_t *sizes, struct el_team *team) {
    EL_TRY(el_assigner_assign(kmeans->assigner, kmeans->centroids, kmeans->lists, kmeans->list_of));
    el_partition_group(kmeans->list_of, kmeans->source->count, kmeans->lists, kmeans->starts, kmeans->order);
    el_team_run(team, kmeans->lists, move_centroid, kmeans);
    for (int l = 0; l < kmeans->lists; l++)
        sizes[l] = kmeans->starts[l + 1] - kmeans->starts[l];
    fill_empty(kmeans, sizes);
    return 0;
}

int el_kmeans(const struct el_row_source *source, int lists, int iterations, uint64_t seed,
              struct el_team *team, float *ret_centroids) {
    struct kmeans kmeans = {.source = source, .lists = lists, .centroids = ret_centroids};
    int32_t *list_of el_auto_free = NULL;
    int64_t *starts el_auto_free = NULL, *order el_auto_free = NULL, *sizes el_auto_free = NULL;
    double *sums el_auto_free = NULL;
    const size_t count = (size_t)source->count, threads = (size_t)el_team_size(team);
    EL_TRY(el_alloc(count, sizeof *list_of, &list_of));
    EL_TRY(el_alloc((size_t)lists + 1, sizeof *starts, &starts));
    EL_TRY(el_alloc(count, sizeof *order, &order));
    EL_TRY(el_alloc((size_t)lists, sizeof *sizes, &sizes));
    EL_TRY(el_alloc(threads * (size_t)source->dim, sizeof *sums, &sums));
    kmeans.list_of = list_of;
    kmeans.starts = starts;
    kmeans.order = order;
    kmeans.sums = sums;
    draw_centroids(&kmeans, seed);
    EL_TRY(el_assigner_open(source, team, &kmeans.assigner));
    int status = 0;
    for (int i = 0; i < iterations && status == 0; i++)
        status = iterate(&kmeans, sizes, team);
    el_assigner_close(kmeans.assigner);
    return status;
}
