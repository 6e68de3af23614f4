// SPDX-License-Identifier: Apache-2.0
// `eleanor index query`: a question's nearest chunks, as text or JSON; or those of the vectors of a NumPy
// file.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "cmd/index/index.h"
#include "cmd/model.h"
#include "device/trace.h"
#include "format/npy.h"
#include "serve/device_settings.h"
#include "serve/index_text.h"
#include "vectors/searcher.h"

enum { DEFAULT_TOP = 10, SHOWN_TEXT = 160 };

struct query {
    const struct el_index_wish *wish;
    struct el_index *index;
    struct el_team *team;
    struct el_searcher *searcher; // for --vectors
    struct el_str out;            // of one answer
};

// The chunk's beginning on one line, cut at a blank or within none of UTF-8's code points.
static int put_beginning(const struct el_index_hit *hit, struct el_str *out) {
    size_t end = EL_MIN(hit->text_length, SHOWN_TEXT);
    while (end < hit->text_length && ((unsigned char)hit->text[end] & 0xC0) == 0x80)
        end--;
    EL_TRY(el_str_puts(out, "        "));
    for (size_t i = 0; i < end; i++)
        EL_TRY(el_str_putc(out, (unsigned char)hit->text[i] < ' ' ? ' ' : hit->text[i]));
    return el_str_puts(out, end < hit->text_length ? "...\n" : "\n");
}

static int put_text(const struct el_index_answer *answer, struct el_str *out) {
    for (size_t i = 0; i < answer->count; i++) {
        const struct el_index_hit *hit = &answer->hits[i];
        EL_TRY(el_str_printf(out, "%7.4f  %s", (double)hit->score, hit->id));
        if (hit->part) EL_TRY(el_str_printf(out, " (part %" PRId64 ")", hit->part + 1));
        EL_TRY(el_str_putc(out, '\n'));
        if (hit->text) EL_TRY(put_beginning(hit, out));
    }
    if (answer->count) return 0;
    return el_str_puts(out, "nothing found\n");
}

static int put_json(struct query *query, const struct el_index_answer *answer) {
    EL_TRY(el_index_put_answer(&query->out, query->wish->name, answer));
    return el_str_putc(&query->out, '\n');
}

static int print(struct query *query, struct el_index_answer *answer) {
    el_str_clear(&query->out);
    int status = query->wish->json ? put_json(query, answer) : put_text(answer, &query->out);
    if (status == 0) fwrite(query->out.data, query->out.length, 1, stdout); // checked when the verb ends
    el_index_answer_done(answer);
    return status;
}

static struct el_index_query question_of(const struct query *query) {
    return (struct el_index_query){.mode = query->wish->mode,
                                   .filter = query->wish->filter,
                                   .recall = query->wish->recall,
                                   .k = query->wish->top ? (int)query->wish->top : DEFAULT_TOP,
                                   .team = query->team};
}

static int ask_text(const struct el_config *config, struct query *query) {
    const char *text = query->wish->operands[0], *name = el_index_facts(query->index)->model;
    struct el_index_query question = question_of(query);
    struct el_index_answer answer;
    struct el_cmd_model model = {0};
    question.text = (struct el_text){text, strlen(text)};
    const bool embeds = el_search_embeds(&question);
    if (embeds && !*name)
        return el_fail(EL_EINVAL,
                       "index %s has no model to embed a question: it takes --vectors, or --mode text",
                       query->wish->name);
    int status = embeds ? el_cmd_model_open(config, name, NULL, &model) : 0;
    if (status == 0) status = el_search_query(query->index, model.embedder, &question, &answer);
    el_cmd_model_close(&model);
    return status < 0 ? status : print(query, &answer);
}

static int ask_rows(struct query *query, const struct el_npy *npy) {
    float *vector el_auto_free = NULL;
    struct el_index_query question = question_of(query);
    const size_t row_size = (size_t)npy->columns * sizeof *vector;
    const int dim = el_index_facts(query->index)->dim;
    if (npy->columns != dim)
        return el_fail(EL_EINVAL, "%s holds vectors of %" PRId64 " dimensions, index %s has %d",
                       query->wish->vectors, npy->columns, query->wish->name, dim);
    EL_TRY(el_alloc(1, row_size, &vector));
    question.vector = vector;
    question.searcher = query->searcher;
    for (int64_t i = 0; i < npy->rows; i++) {
        struct el_index_answer answer;
        memcpy(vector, npy->data + (size_t)i * row_size, row_size);
        int status = el_index_search(query->index, &question, &answer);
        if (status < 0) return el_fail_in(status, "%s: row %" PRId64, query->wish->vectors, i);
        EL_TRY(print(query, &answer));
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
    if (status == 0) status = el_searcher_open(&kept, &query->searcher);
    if (status == 0) status = ask_rows(query, npy);
    el_searcher_close(query->searcher);
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

int el_index_query(const struct el_config *config, const struct el_index_wish *wish) {
    struct query query = {.wish = wish};
    const int threads = config->threads > 0 ? (int)config->threads : el_cpu_count();
    EL_TRY(el_search_open(wish->root, wish->name, false, &query.index));
    int status = el_team_open(threads, config->pin, &query.team);
    if (status == 0) status = wish->vectors ? ask_vectors(config, &query) : ask_text(config, &query);
    if (query.team) el_team_close(query.team);
    el_index_close(query.index);
    el_str_done(&query.out);
    return status;
}
