// SPDX-License-Identifier: Apache-2.0
// `eleanor index query`: a question's nearest chunks; or those of each row of a NumPy file, some thousands of
// rows at a time.
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "cmd/index/index.h"
#include "cmd/index/query_output.h"
#include "cmd/model.h"
#include "device/trace.h"
#include "format/npy.h"
#include "serve/device_settings.h"
#include "vectors/searcher.h"

enum { DEFAULT_TOP = 10, MOST_RESULTS = 32768 }; // that are kept at a time, with their texts

struct query {
    const struct el_index_wish *wish;
    struct el_index *index;
    struct el_text text; // the question, without --vectors
    struct el_index_query questions;
    struct el_query_output output;
};

static int tell(struct query *query, struct el_index_answer *answer) {
    const int status = el_query_output_put(&query->output, answer);
    el_index_answer_done(answer);
    return status;
}

static int ask_text(const struct el_config *config, struct query *query) {
    const char *name = el_index_facts(query->index)->model;
    struct el_index_answer answer;
    struct el_cmd_model model = {0};
    query->text = (struct el_text){query->wish->operands[0], strlen(query->wish->operands[0])};
    query->questions.count = 1;
    query->questions.texts = &query->text;
    const bool embeds = el_search_embeds(&query->questions);
    if (embeds && !*name)
        return el_fail(EL_EINVAL,
                       "index %s has no model to embed a question: it takes --vectors, or --mode text",
                       query->wish->name);
    int status = embeds ? el_cmd_model_open(config, name, NULL, &model) : 0;
    if (status == 0) status = el_search_query(query->index, model.embedder, &query->questions, &answer);
    el_cmd_model_close(&model);
    return status < 0 ? status : tell(query, &answer);
}

// The file's rows need not be aligned, so they are copied.
static int ask_rows(struct query *query, const struct el_npy *npy) {
    float *vectors el_auto_free = NULL;
    const size_t row_size = (size_t)npy->columns * sizeof *vectors;
    const int64_t at_once = EL_MAX(MOST_RESULTS / query->questions.k, 1);
    EL_TRY(el_index_check_columns(query->wish, npy, query->index));
    EL_TRY(el_alloc((size_t)EL_MIN(at_once, npy->rows), row_size, &vectors));
    query->questions.vectors = vectors;
    for (int64_t row = 0; row < npy->rows; row += at_once) {
        struct el_index_answer answer;
        query->questions.count = (size_t)EL_MIN(at_once, npy->rows - row);
        memcpy(vectors, npy->data + (size_t)row * row_size, query->questions.count * row_size);
        const int status = el_index_search(query->index, &query->questions, &answer);
        if (status < 0) return el_fail_in(status, "%s from row %" PRId64 " on", query->wish->vectors, row);
        EL_TRY(tell(query, &answer));
    }
    return 0;
}

// Rows are worth copying to a device for many questions alone, so one has to be named.
static int ask_rows_with_copies(const struct el_config *config, struct query *query,
                                const struct el_npy *npy) {
    struct el_trace *trace = NULL;
    struct el_manager *manager = NULL;
    int status = el_streq(config->device, "auto") ? 0 : el_devices_open(config, &trace, &manager);
    const struct el_searcher_options kept = {.manager = manager, .bytes = config->index_bytes};
    if (status == 0) status = el_searcher_open(&kept, &query->questions.searcher);
    if (status == 0) status = ask_rows(query, npy);
    el_searcher_close(query->questions.searcher);
    el_manager_close(manager);
    el_trace_close(trace);
    return status;
}

static int ask_vectors(const struct el_config *config, struct query *query) {
    struct el_map map = {0};
    struct el_npy npy;
    EL_TRY(el_map_open(query->wish->vectors, &map));
    int status = el_npy_parse(query->wish->vectors, map.data, map.size, &npy);
    if (status == 0) status = ask_rows_with_copies(config, query, &npy);
    el_map_close(&map);
    return status;
}

static int ask(const struct el_config *config, struct query *query) {
    const int threads = config->threads > 0 ? (int)config->threads : el_cpu_count();
    EL_TRY(el_team_open(threads, config->pin, &query->questions.team));
    int status = el_query_output_open(query->wish, query->questions.k, &query->output);
    if (status == 0) status = query->wish->vectors ? ask_vectors(config, query) : ask_text(config, query);
    if (status == 0) status = el_query_output_finish(&query->output);
    el_query_output_close(&query->output);
    el_team_close(query->questions.team);
    return status;
}

int el_index_query(const struct el_config *config, const struct el_index_wish *wish) {
    struct query query = {.wish = wish,
                          .questions = {.mode = wish->mode,
                                        .filter = wish->filter,
                                        .recall = wish->recall,
                                        .k = wish->top ? (int)wish->top : DEFAULT_TOP}};
    EL_TRY(el_search_open(wish->root, wish->name, false, &query.index));
    const int status = ask(config, &query);
    el_index_close(query.index);
    return status;
}
