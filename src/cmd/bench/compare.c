// SPDX-License-Identifier: Apache-2.0
// `eleanor bench --compare A.json B.json`: how much faster B is, batch size by batch size, and whether that
// is more than the rounds of one run differ among themselves.
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "cmd/bench/bench.h"

enum { FILE_LIMIT = 16 << 20 };
#define LEAST_NOISE 0.01 // of one run to the next, however alike the rounds of each are

static int check_row(const char *path, const json_t *row) {
    static const char *const figures[] = {"docs_per_second", "spread_pct"};
    int64_t size;
    if (!json_is_object(row)) return el_fail(EL_EFORMAT, "%s: \"results\" holds what is no object", path);
    EL_TRY(el_json_get_i64(path, row, "batch_size", 0, INT32_MAX, &size));
    for (size_t i = 0; i < EL_COUNT(figures); i++) {
        const json_t *figure = json_object_get(row, figures[i]);
        if (!json_is_number(figure) || json_number_value(figure) < 0)
            return el_fail(EL_EFORMAT, "%s: \"%s\" must be a number, 0 or more", path, figures[i]);
    }
    if (json_number_value(json_object_get(row, "docs_per_second")) > 0) return 0;
    return el_fail(EL_EFORMAT, "%s: \"docs_per_second\" is 0", path);
}

static int read_result(const char *path, json_t **ret_result) {
    json_t *result el_auto_json = NULL;
    const json_t *row;
    size_t i;
    EL_TRY(el_json_parse_file(path, FILE_LIMIT, &result));
    const json_t *rows = json_object_get(result, "results"), *bench = json_object_get(result, "bench");
    if (!json_is_array(rows) || !json_is_string(bench) || strcmp(json_string_value(bench), "embed") != 0)
        return el_fail(EL_EFORMAT, "%s: not what `eleanor bench embed --json` prints", path);
    json_array_foreach(rows, i, row) EL_TRY(check_row(path, row));
    *ret_result = el_steal(result);
    return 0;
}

static const json_t *row_of(const json_t *result, json_int_t batch_size) {
    const json_t *row;
    size_t i;
    json_array_foreach(json_object_get(result, "results"), i, row) {
        if (json_integer_value(json_object_get(row, "batch_size")) == batch_size) return row;
    }
    return NULL;
}

static json_t *compare_rows(const json_t *a, const json_t *b) {
    const double rate_a = json_number_value(json_object_get(a, "docs_per_second")),
                 rate_b = json_number_value(json_object_get(b, "docs_per_second")),
                 spread_a = json_number_value(json_object_get(a, "spread_pct")),
                 spread_b = json_number_value(json_object_get(b, "spread_pct"));
    const double ratio = rate_b / rate_a, noise = EL_MAX(EL_MAX(spread_a, spread_b) / 100, LEAST_NOISE);
    return json_pack("{s:O, s:f, s:f, s:f, s:f, s:s}", "batch_size", json_object_get(a, "batch_size"), "a",
                     rate_a, "b", rate_b, "ratio", ratio, "noise_pct", noise * 100, "verdict",
                     ratio > 1 + noise   ? "faster"
                     : ratio < 1 - noise ? "slower"
                                         : "same");
}

// Facts that should be the same, or the ratios say something else than the reader thinks.
static json_t *find_differences(const json_t *a, const json_t *b) {
    static const char *const paths[][2] = {{"machine", "processor"}, {"device", "name"},
                                           {"model", "name"},        {"precision", NULL},
                                           {"threads", NULL},        {"texts", "mean_tokens"}};
    json_t *rows = json_array();
    for (size_t i = 0; i < EL_COUNT(paths); i++) {
        json_t *x = json_object_get(a, paths[i][0]), *y = json_object_get(b, paths[i][0]);
        if (paths[i][1]) x = json_object_get(x, paths[i][1]);
        if (paths[i][1]) y = json_object_get(y, paths[i][1]);
        if (!x || !y || json_equal(x, y)) continue;
        json_array_append_new(rows, json_pack("{s:s, s:O, s:O}", "what", paths[i][0], "a", x, "b", y));
    }
    return rows;
}

static int compare(const json_t *a, const json_t *b, json_t **ret_comparison) {
    json_t *rows = json_array();
    const json_t *row;
    size_t i;
    json_array_foreach(json_object_get(a, "results"), i, row) {
        const json_t *other = row_of(b, json_integer_value(json_object_get(row, "batch_size")));
        if (other) json_array_append_new(rows, compare_rows(row, other));
    }
    if (json_array_size(rows) == 0) {
        json_decref(rows);
        return el_fail(EL_EINVAL, "the two results have no batch size in common");
    }
    *ret_comparison = json_pack("{s:o, s:o}", "differences", find_differences(a, b), "results", rows);
    return 0;
}

static void print_comparison(const json_t *comparison, const char *const *names) {
    const json_t *row;
    size_t i;
    printf("A  %s\nB  %s\n", names[0], names[1]);
    json_array_foreach(json_object_get(comparison, "differences"), i, row) {
        char *a = json_dumps(json_object_get(row, "a"), JSON_ENCODE_ANY | JSON_REAL_PRECISION(4)),
             *b = json_dumps(json_object_get(row, "b"), JSON_ENCODE_ANY | JSON_REAL_PRECISION(4));
        printf("not the same %s: A %s, B %s\n", json_string_value(json_object_get(row, "what")), a ? a : "",
               b ? b : "");
        el_free(a);
        el_free(b);
    }
    printf("\n%8s %12s %12s %8s %8s\n", "batch", "A docs/s", "B docs/s", "B/A", "noise");
    json_array_foreach(json_object_get(comparison, "results"), i, row) {
        const json_int_t size = json_integer_value(json_object_get(row, "batch_size"));
        char text[24] = "own";
        if (size > 0) snprintf(text, sizeof text, "%lld", (long long)size);
        printf("%8s %12.1f %12.1f %8.3f %6.1f %%  %s\n", text, json_number_value(json_object_get(row, "a")),
               json_number_value(json_object_get(row, "b")), json_number_value(json_object_get(row, "ratio")),
               json_number_value(json_object_get(row, "noise_pct")),
               json_string_value(json_object_get(row, "verdict")));
    }
}

// Noise fails nothing.
static bool is_below(const json_t *comparison, int64_t percent) {
    const json_t *row;
    size_t i;
    json_array_foreach(json_object_get(comparison, "results"), i, row) {
        const bool slower = strcmp(json_string_value(json_object_get(row, "verdict")), "slower") == 0;
        if (slower && json_number_value(json_object_get(row, "ratio")) * 100 < (double)percent) return true;
    }
    return false;
}

int el_bench_compare(const struct el_bench_options *options, bool *ret_below) {
    json_t *a el_auto_json = NULL, *b el_auto_json = NULL, *comparison el_auto_json = NULL;
    EL_TRY(read_result(options->paths[0], &a));
    EL_TRY(read_result(options->paths[1], &b));
    EL_TRY(compare(a, b, &comparison));
    if (options->json)
        el_bench_print_json(comparison);
    else
        print_comparison(comparison, options->paths);
    *ret_below = is_below(comparison, options->fail_below);
    return options->svg ? el_bench_draw((const json_t *const[]){a, b}, options->paths, 2, options->svg) : 0;
}
