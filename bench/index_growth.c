// SPDX-License-Identifier: Apache-2.0
// What an index's work costs as it grows: adding, a query, compacting after a tenth was
// removed.
//
//     bench_index_growth FOLDER [--least N] [--most N] [--dim D] [--svg PREFIX] [--note TEXT]
//
// For each power of ten times the least N, 1,000 by default, up to the most an index of its own in FOLDER, of
// random vectors, a document each, added by batches of 8,192; each file is synced as always. One line of JSON
// at the end; PREFIX-write.svg and PREFIX-query.svg.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sort.h"
#include "base/str.h"
#include "base/thread.h"
#include "cmd/bench/chart.h"
#include "index/index.h"

enum { BATCH = 8192, QUERIES = 21, TOP = 10, REMOVED_OF = 10, MOST_POINTS = 8, ID_SIZE = 32 };

struct options {
    const char *folder, *svg, *note;
    int64_t least, most, dim;
};

struct point {
    int64_t count;
    double add_s, query_s, remove_s, compact_s; // query: the median of QUERIES
    uint64_t bytes;                             // of all files, before anything is removed
};

// Documents of a batch, with their ids and vectors.
struct batch {
    struct el_index_document *documents;
    char (*ids)[ID_SIZE];
    float *vectors; // [BATCH][dim]
};

static double seconds_since(uint64_t began) {
    return (double)(el_now_ns() - began) * 1e-9;
}

// Sums of four uniform numbers: near enough to a normal distribution for vectors that point anywhere.
static float draw(uint64_t *state) {
    float sum = -2;
    for (int i = 0; i < 4; i++) {
        *state = *state * 6364136223846793005U + 1442695040888963407U;
        sum += (float)(*state >> 40) * 0x1p-24F;
    }
    return sum;
}

static void fill(struct batch *batch, int64_t first, size_t count, size_t dim, uint64_t *state) {
    for (size_t i = 0; i < count; i++) {
        snprintf(batch->ids[i], ID_SIZE, "vectors:%" PRId64, first + (int64_t)i);
        batch->documents[i] =
            (struct el_index_document){.id = batch->ids[i], .hash = {{(uint64_t)first + i, 1}}, .chunks = 1};
    }
    for (size_t i = 0; i < count * dim; i++)
        batch->vectors[i] = draw(state);
}

static int add(struct el_index *index, struct batch *batch, const struct options *options,
               struct point *point) {
    uint64_t state = 1;
    for (int64_t first = 0; first < point->count; first += BATCH) {
        const size_t count = (size_t)EL_MIN(BATCH, point->count - first);
        fill(batch, first, count, (size_t)options->dim, &state);
        const uint64_t began = el_now_ns();
        EL_TRY(el_index_put(index, batch->documents, count, batch->vectors));
        point->add_s += seconds_since(began);
    }
    return 0;
}

static int query(struct el_index *index, struct batch *batch, struct el_team *team, size_t dim,
                 struct point *point) {
    double seconds[QUERIES];
    uint64_t state = 99;
    for (int i = 0; i < QUERIES; i++) {
        struct el_index_answer answer;
        fill(batch, 0, 1, dim, &state);
        const struct el_index_query query = {.count = 1, .vectors = batch->vectors, .k = TOP, .team = team};
        const uint64_t began = el_now_ns();
        EL_TRY(el_index_search(index, &query, &answer));
        seconds[i] = seconds_since(began);
        el_index_answer_done(&answer);
    }
    el_sort_f64(seconds, QUERIES);
    point->query_s = seconds[QUERIES / 2];
    return 0;
}

static int remove_and_compact(struct el_index *index, struct batch *batch, struct point *point) {
    const char *ids[BATCH];
    uint64_t began = el_now_ns();
    for (int64_t next = 0; next < point->count;) {
        size_t count = 0;
        int64_t removed;
        for (; count < BATCH && next < point->count; next += REMOVED_OF, count++) {
            snprintf(batch->ids[count], ID_SIZE, "vectors:%" PRId64, next);
            ids[count] = batch->ids[count];
        }
        EL_TRY(el_index_remove(index, ids, count, &removed));
    }
    point->remove_s = seconds_since(began);
    began = el_now_ns();
    EL_TRY(el_index_compact(index));
    point->compact_s = seconds_since(began);
    return 0;
}

static int work_on(struct el_index *index, struct batch *batch, struct el_team *team,
                   const struct options *options, struct point *point) {
    struct el_index_stats stats;
    EL_TRY(add(index, batch, options, point));
    EL_TRY(el_index_stats(index, &stats));
    point->bytes = stats.bytes;
    EL_TRY(query(index, batch, team, (size_t)options->dim, point));
    return remove_and_compact(index, batch, point);
}

static int measure(const struct options *options, struct batch *batch, struct el_team *team,
                   struct point *point) {
    char *folder el_auto_free = NULL;
    struct el_index *index = NULL;
    const struct el_vector_facts facts = {.dim = (int)options->dim, .metric = EL_METRIC_COSINE};
    EL_TRY(el_path_join(options->folder, "growth", &folder));
    EL_TRY(el_index_create(folder, &facts));
    EL_TRY(el_index_open(folder, true, &index));
    int status = work_on(index, batch, team, options, point);
    el_index_close(index);
    if (status < 0) return status;
    fprintf(stderr,
            "%9" PRId64 ": add %6.2f us, compact %6.2f us, query %6.2f ns a vector; query %8.3f ms, %" PRIu64
            " bytes\n",
            point->count, point->add_s / (double)point->count * 1e6,
            point->compact_s / (double)point->count * 1e6, point->query_s / (double)point->count * 1e9,
            point->query_s * 1e3, point->bytes);
    return el_index_delete(folder);
}

// ---- what it says ----

static int put_json(const struct options *options, const struct point *points, size_t count,
                    struct el_str *out) {
    EL_TRY(el_str_printf(out,
                         "{\"bench\":\"index_growth\",\"dim\":%" PRId64 ",\"batch\":%d,\"cpus\":%d,\"note\":",
                         options->dim, BATCH, el_cpu_count()));
    EL_TRY(el_str_put_json(out, options->note, strlen(options->note)));
    EL_TRY(el_str_puts(out, ",\"points\":["));
    for (size_t i = 0; i < count; i++)
        EL_TRY(el_str_printf(out,
                             "%s{\"vectors\":%" PRId64 ",\"add_s\":%.4f,\"query_s\":%.6f,\"remove_s\":%.4f,"
                             "\"compact_s\":%.4f,\"bytes\":%" PRIu64 "}",
                             i ? "," : "", points[i].count, points[i].add_s, points[i].query_s,
                             points[i].remove_s, points[i].compact_s, points[i].bytes));
    return el_str_puts(out, "]}\n");
}

static int draw_chart(const char *prefix, const char *name, struct el_chart *chart) {
    el_auto(el_str_done) struct el_str path = {0}, svg = {0};
    EL_TRY(el_str_printf(&path, "%s-%s.svg", prefix, name));
    EL_TRY(el_chart_svg(chart, &svg));
    return el_write_file(path.data, svg.data, svg.length);
}

static struct el_chart_point point_at(const struct point *point, double y) {
    return (struct el_chart_point){.x = (double)point->count, .y = y, .low = y, .high = y};
}

static int draw_charts(const struct options *options, const struct point *points, size_t count) {
    struct el_chart_point adds[MOST_POINTS], compacts[MOST_POINTS], queries[MOST_POINTS];
    char subtitle[160];
    for (size_t i = 0; i < count; i++) {
        const double vectors = (double)points[i].count;
        adds[i] = point_at(&points[i], points[i].add_s / vectors * 1e6);
        compacts[i] = point_at(&points[i], points[i].compact_s / vectors * 1e6);
        queries[i] = point_at(&points[i], points[i].query_s / vectors * 1e9);
    }
    snprintf(subtitle, sizeof subtitle, "%" PRId64 " dimensions, %d CPUs; %s", options->dim, el_cpu_count(),
             options->note);
    const struct el_chart_series writes[] = {{"adding", adds, count},
                                             {"compacting, a tenth removed", compacts, count}};
    struct el_chart chart = {.title = "What a vector costs as the index grows",
                             .subtitle = subtitle,
                             .x_label = "vectors in the index",
                             .y_label = "microseconds a vector",
                             .series = writes,
                             .series_count = EL_COUNT(writes)};
    EL_TRY(draw_chart(options->svg, "write", &chart));
    const struct el_chart_series reads[] = {{"query", queries, count}};
    chart.title = "What an exact query costs as the index grows";
    chart.y_label = "nanoseconds a vector";
    chart.series = reads;
    chart.series_count = EL_COUNT(reads);
    return draw_chart(options->svg, "query", &chart);
}

static int parse(int argc, char **argv, struct options *options) {
    for (int i = 1; i < argc; i++) {
        const char *value = argv[i + 1];
        if (argv[i][0] != '-') {
            options->folder = argv[i];
            continue;
        }
        if (!value) return el_fail(EL_EINVAL, "%s needs a value", argv[i]);
        if (el_streq(argv[i], "--least")) EL_TRY(el_parse_i64(value, 1000, 1000000000, &options->least));
        if (el_streq(argv[i], "--most")) EL_TRY(el_parse_i64(value, 1000, 1000000000, &options->most));
        if (el_streq(argv[i], "--dim")) EL_TRY(el_parse_i64(value, 1, EL_VECTOR_MAX_DIM, &options->dim));
        if (el_streq(argv[i], "--svg")) options->svg = value;
        if (el_streq(argv[i], "--note")) options->note = value;
        i++;
    }
    return options->folder ? 0 : el_fail(EL_EINVAL, "a FOLDER for the indexes is wanted");
}

static int measure_all(const struct options *options, struct batch *batch) {
    struct point points[MOST_POINTS] = {{0}};
    el_auto(el_str_done) struct el_str out = {0};
    struct el_team *team = NULL;
    size_t count = 0;
    EL_TRY(el_team_open(el_cpu_count(), false, &team));
    int status = 0;
    for (int64_t vectors = options->least; status == 0 && vectors <= options->most && count < MOST_POINTS;
         vectors *= 10) {
        points[count].count = vectors;
        status = measure(options, batch, team, &points[count++]);
    }
    el_team_close(team);
    if (status == 0) status = put_json(options, points, count, &out);
    if (status == 0) fputs(out.data, stdout);
    return status == 0 && options->svg ? draw_charts(options, points, count) : status;
}

int main(int argc, char **argv) {
    struct options options = {.least = 1000, .most = 1000000, .dim = 32, .note = ""};
    struct batch batch = {0};
    int status = parse(argc, argv, &options);
    if (status == 0) status = el_alloc(BATCH, sizeof *batch.documents, &batch.documents);
    if (status == 0) status = el_alloc(BATCH, sizeof *batch.ids, &batch.ids);
    if (status == 0) status = el_alloc(BATCH * (size_t)options.dim, sizeof *batch.vectors, &batch.vectors);
    if (status == 0) status = measure_all(&options, &batch);
    if (status < 0) fprintf(stderr, "bench_index_growth: %s\n", el_error_detail());
    el_free(batch.documents);
    el_free(batch.ids);
    el_free(batch.vectors);
    return status < 0;
}
