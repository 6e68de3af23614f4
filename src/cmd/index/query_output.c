// SPDX-License-Identifier: Apache-2.0
// Answers as text for people, a line of JSON for each question, or a row of NumPy arrays for each: ids as
// numbers (int64, -1 where there are fewer than k) and scores (float32, there -inf). An id is a number if it
// is written as one, or behind the last colon of "FILE:ROW", where all have the same FILE.
#include "cmd/index/query_output.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "serve/index_text.h"

enum { SHOWN_TEXT = 160 };

// ---- text ----

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

static int put_text(const struct el_index_list *list, struct el_str *out) {
    for (size_t i = 0; i < list->count; i++) {
        const struct el_index_hit *hit = &list->hits[i];
        EL_TRY(el_str_printf(out, "%7.4f  %s", (double)hit->score, hit->id));
        if (hit->part) EL_TRY(el_str_printf(out, " (part %" PRId64 ")", hit->part + 1));
        EL_TRY(el_str_putc(out, '\n'));
        if (hit->text) EL_TRY(put_beginning(hit, out));
    }
    if (list->count) return 0;
    return el_str_puts(out, "nothing found\n");
}

static int put_line(struct el_query_output *output, const struct el_index_list *list,
                    const struct el_query_stats *stats) {
    struct el_str *text = &output->text;
    el_str_clear(text);
    if (output->wish->json) {
        EL_TRY(el_index_put_result(text, output->wish->name, list, stats));
        EL_TRY(el_str_putc(text, '\n'));
    } else {
        EL_TRY(put_text(list, text));
    }
    fwrite(text->data, text->length, 1, stdout); // checked when the verb ends
    return 0;
}

// ---- NumPy ----

// Other prefixes would give two documents the same number.
static int check_prefix(struct el_query_output *output, const char *id, size_t length) {
    if (!output->prefix) return el_strndup(id, length, &output->prefix);
    if (strlen(output->prefix) == length && memcmp(output->prefix, id, length) == 0) return 0;
    return el_fail(EL_EINVAL,
                   "--format npy: %.200s is of another file than %s0, so their rows' numbers say too little; "
                   "take --json, or an index for each file",
                   id, output->prefix);
}

static int number_of(struct el_query_output *output, const char *id, int64_t *ret_number) {
    const char *colon = strrchr(id, ':'), *digits = colon ? colon + 1 : id;
    const bool is_plain = strspn(digits, "0123456789") == strlen(digits) && (*digits != '0' || !digits[1]);
    if (!is_plain || el_parse_i64(digits, 0, INT64_MAX, ret_number) < 0)
        return el_fail(
            EL_EINVAL,
            "--format npy: \"%.200s\" is no number, as ids of `index add --vectors` have (FILE:ROW); "
            "take --json",
            id);
    return check_prefix(output, id, (size_t)(digits - id));
}

static int put_row(struct el_query_output *output, const struct el_index_list *list) {
    for (size_t i = 0; i < output->k; i++) {
        const bool is_there = i < list->count;
        output->id_row[i] = -1;
        output->score_row[i] = is_there ? list->hits[i].score : -INFINITY;
        if (is_there) EL_TRY(number_of(output, list->hits[i].id, &output->id_row[i]));
    }
    EL_TRY(el_vector_sink_put_numbers(&output->ids, output->id_row, 1));
    return output->scores.stream ? el_vector_sink_put(&output->scores, output->score_row, 1) : 0;
}

static int open_arrays(struct el_query_output *output) {
    const struct el_index_wish *wish = output->wish;
    EL_TRY(el_alloc(output->k, sizeof *output->id_row, &output->id_row));
    EL_TRY(el_alloc(output->k, sizeof *output->score_row, &output->score_row));
    EL_TRY(el_vector_sink_open(EL_NUMBERS_NPY, wish->output, (int)output->k, &output->ids));
    if (!wish->scores) return 0;
    return el_vector_sink_open(EL_VECTORS_NPY, wish->scores, (int)output->k, &output->scores);
}

// ---- both ----

int el_query_output_open(const struct el_index_wish *wish, int k, struct el_query_output *ret_output) {
    struct el_query_output output = {.wish = wish, .k = (size_t)k};
    const int status = wish->npy ? open_arrays(&output) : 0;
    if (status < 0)
        el_query_output_close(&output);
    else
        *ret_output = output;
    return status;
}

int el_query_output_put(struct el_query_output *output, const struct el_index_answer *answer) {
    for (size_t i = 0; i < answer->count; i++)
        EL_TRY(output->wish->npy ? put_row(output, &answer->lists[i])
                                 : put_line(output, &answer->lists[i], &answer->stats));
    return 0;
}

int el_query_output_finish(struct el_query_output *output) {
    if (output->ids.stream) EL_TRY(el_vector_sink_finish(&output->ids));
    return output->scores.stream ? el_vector_sink_finish(&output->scores) : 0;
}

void el_query_output_close(struct el_query_output *output) {
    el_vector_sink_close(&output->ids);
    el_vector_sink_close(&output->scores);
    el_free(output->id_row);
    el_free(output->score_row);
    el_free(output->prefix);
    el_str_done(&output->text);
    *output = (struct el_query_output){0};
}
