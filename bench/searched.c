// SPDX-License-Identifier: Apache-2.0
// Rows and queries from files, commands by lines.
#include "searched.h"

#include <stdio.h>

#include "base/error.h"
#include "base/str.h"

int searched_open(const char *rows, const char *queries, const char *dim, const char *threads,
                  struct searched *ret_searched) {
    struct searched *searched = ret_searched;
    int64_t width, thread_count = el_cpu_count();
    EL_TRY(el_parse_i64(dim, 1, 1 << 16, &width));
    if (threads) EL_TRY(el_parse_i64(threads, 1, 1024, &thread_count));
    EL_TRY(el_map_open(rows, &searched->rows_file));
    EL_TRY(el_map_open(queries, &searched->queries_file));
    const size_t bytes = (size_t)width * sizeof(float);
    searched->set = (struct el_vector_set){
        .dim = (int)width,
        .metric = EL_METRIC_COSINE,
        .count = (int64_t)(searched->rows_file.size / bytes),
        .rows = (const void *)searched->rows_file.data,
    };
    searched->queries = (const void *)searched->queries_file.data;
    searched->query_count = (int)(searched->queries_file.size / bytes);
    return el_team_open((int)thread_count, false, &searched->team);
}

void searched_close(struct searched *searched) {
    el_team_close(searched->team);
    el_map_close(&searched->rows_file);
    el_map_close(&searched->queries_file);
}

void obey_lines(int (*obey)(void *context, const char *line), void *context) {
    char line[100];
    while (fgets(line, sizeof line, stdin)) {
        if (obey(context, line) < 0) printf("{\"error\":\"%s\"}\n", el_error_detail());
        fflush(stdout);
    }
}

double seconds_since(uint64_t began) {
    return (double)(el_now_ns() - began) * 1e-9;
}
