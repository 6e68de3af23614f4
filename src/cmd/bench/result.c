// SPDX-License-Identifier: Apache-2.0
// The results of `eleanor bench embed`: figures of a batch size, targets, and how people see them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sort.h"
#include "base/str.h"
#include "cmd/bench/bench.h"
#include "cmd/bench/chart.h"

json_t *el_bench_row(int64_t batch_size, size_t docs, double *seconds, size_t rounds) {
    el_sort_f64(seconds, rounds);
    const double median = (seconds[(rounds - 1) / 2] + seconds[rounds / 2]) / 2, rate = (double)docs / median;
    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "batch_size", (json_int_t)batch_size,
                     "docs", (json_int_t)docs, "rounds", (json_int_t)rounds, "docs_per_second", rate,
                     "best_docs_per_second", (double)docs / seconds[0], "worst_docs_per_second",
                     (double)docs / seconds[rounds - 1], "docs_per_minute", rate * 60, "ms_per_doc",
                     1000 / rate, "spread_pct", 100 * (seconds[rounds - 1] - seconds[0]) / median);
}

// ---- targets ----

static const struct {
    const char *hardware, *part; // `part` is in the name of such a device
    double docs_per_minute, ms_per_doc;
} targets[] = {
#define TARGET(hardware, part, docs_per_minute, ms_per_doc) {hardware, part, docs_per_minute, ms_per_doc},
#include "cmd/bench/targets.def"
};

json_t *el_bench_targets(const char *device, double docs_per_minute) {
    json_t *rows = json_array();
    for (size_t i = 0; i < EL_COUNT(targets); i++) {
        const bool reached =
            docs_per_minute >= targets[i].docs_per_minute && 60000 / docs_per_minute < targets[i].ms_per_doc;
        const char *verdict = !strstr(device, targets[i].part) ? "not this hardware"
                              : reached                        ? "PASS"
                                                               : "below";
        json_array_append_new(
            rows, json_pack("{s:s, s:f, s:f, s:f, s:s}", "hardware", targets[i].hardware, "docs_per_minute",
                            targets[i].docs_per_minute, "ms_per_doc", targets[i].ms_per_doc, "times",
                            docs_per_minute / targets[i].docs_per_minute, "verdict", verdict));
    }
    return rows;
}

// ---- text ----

static const char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static double number_of(const json_t *object, const char *name) {
    return json_number_value(json_object_get(object, name));
}

void el_bench_print_head(const json_t *result) {
    const json_t *model = json_object_get(result, "model"), *device = json_object_get(result, "device"),
                 *texts = json_object_get(result, "texts");
    printf("eleanor %s (%s)\n", text_of(result, "version"), text_of(result, "commit"));
    printf("model    %s, %.1f million parameters, %s\n", text_of(model, "name"),
           number_of(model, "parameters") * 1e-6, text_of(result, "precision"));
    printf("device   %s, %s (%s, %d threads)\n", text_of(device, "id"), text_of(device, "name"),
           text_of(result, "operations"), (int)number_of(result, "threads"));
    printf("texts    %s, %.0f tokens each on average\n\n", text_of(texts, "source"),
           number_of(texts, "mean_tokens"));
    printf("%8s %12s %12s %12s %10s %8s\n", "batch", "docs/s", "best", "docs/min", "ms/doc", "spread");
    fflush(stdout);
}

void el_bench_print_row(const json_t *row) {
    char size[24] = "own";
    if (number_of(row, "batch_size") > 0) snprintf(size, sizeof size, "%.0f", number_of(row, "batch_size"));
    printf("%8s %12.1f %12.1f %12.0f %10.3f %6.1f %%%s\n", size, number_of(row, "docs_per_second"),
           number_of(row, "best_docs_per_second"), number_of(row, "docs_per_minute"),
           number_of(row, "ms_per_doc"), number_of(row, "spread_pct"),
           number_of(row, "oom_count") > 0 ? "  did not fit into the memory: computed in parts" : "");
    fflush(stdout);
}

void el_bench_print_tail(const json_t *result) {
    const json_t *row;
    size_t i;
    const json_t *own = json_object_get(result, "own_batch");
    printf("\nown: %.0f tokens a batch (%s)\n", number_of(own, "tokens"), text_of(own, "source"));
    puts("\nTargets of requirement 4, beside the fastest batch");
    json_array_foreach(json_object_get(result, "targets"), i, row) {
        printf("  %-10s %6.0f docs/min  %3.0f ms/doc  %8.2f times  %s\n", text_of(row, "hardware"),
               number_of(row, "docs_per_minute"), number_of(row, "ms_per_doc"), number_of(row, "times"),
               text_of(row, "verdict"));
    }
}

void el_bench_print_json(const json_t *result) {
    json_dumpf(result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
    putchar('\n');
}

// ---- picture ----

static size_t read_points(const json_t *result, struct el_chart_point *points) {
    const json_t *row;
    size_t i, count = 0;
    json_array_foreach(json_object_get(result, "results"), i, row) {
        if (number_of(row, "batch_size") < 1 || count == EL_BENCH_SIZES) continue;
        points[count++] = (struct el_chart_point){.x = number_of(row, "batch_size"),
                                                  .y = number_of(row, "docs_per_second"),
                                                  .low = number_of(row, "worst_docs_per_second"),
                                                  .high = number_of(row, "best_docs_per_second")};
    }
    return count;
}

int el_bench_draw(const json_t *const *results, const char *const *names, size_t count, const char *path) {
    struct el_chart_point points[EL_CHART_SERIES][EL_BENCH_SIZES];
    struct el_chart_series series[EL_CHART_SERIES] = {0};
    el_auto(el_str_done) struct el_str title = {0}, subtitle = {0}, svg = {0};
    for (size_t i = 0; i < count; i++)
        series[i] = (struct el_chart_series){
            .name = names[i], .points = points[i], .count = read_points(results[i], points[i])};
    const json_t *last = results[count - 1];
    EL_TRY(el_str_printf(&title, "%s: throughput by batch size",
                         text_of(json_object_get(last, "model"), "name")));
    EL_TRY(el_str_printf(&subtitle, "%s, %s, %.0f tokens a text, eleanor %s (%s)",
                         text_of(json_object_get(last, "device"), "name"), text_of(last, "precision"),
                         number_of(json_object_get(last, "texts"), "mean_tokens"), text_of(last, "version"),
                         text_of(last, "commit")));
    const struct el_chart chart = {.title = title.data,
                                   .subtitle = subtitle.data,
                                   .x_label = "texts in a batch",
                                   .y_label = "documents per second",
                                   .series = series,
                                   .series_count = count};
    EL_TRY(el_chart_svg(&chart, &svg));
    return el_write_file(path, svg.data, svg.length);
}
