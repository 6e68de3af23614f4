// SPDX-License-Identifier: Apache-2.0
// Indexes and answers as JSON.
#include "serve/index_text.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"

int el_index_put_stats(struct el_str *out, const char *name, const char *store,
                       const struct el_vector_facts *facts, const struct el_index_stats *stats) {
    EL_TRY(el_str_printf(
        out, "{\"name\":\"%s\",\"store\":\"%s\",\"kind\":\"%s\",\"dim\":%d,\"metric\":\"%s\",\"model\":",
        name, store, el_index_kind_name(facts->kind), facts->dim, el_metric_name(facts->metric)));
    EL_TRY(*facts->model ? el_str_put_json(out, facts->model, strlen(facts->model))
                         : el_str_puts(out, "null"));
    EL_TRY(el_str_printf(out, ",\"documents\":%" PRId64 ",\"chunks\":%" PRId64 ",\"dead\":%" PRId64,
                         stats->documents, stats->chunks, stats->dead));
    return el_str_printf(out, ",\"lists\":%d,\"listed\":%" PRId64 ",\"bytes\":%" PRIu64 "}", stats->lists,
                         stats->listed, stats->bytes);
}

static int put_hit(struct el_str *out, const struct el_index_hit *hit) {
    EL_TRY(el_str_puts(out, "{\"id\":"));
    EL_TRY(el_str_put_json(out, hit->id, strlen(hit->id)));
    EL_TRY(el_str_printf(out, ",\"part\":%" PRId64 ",\"score\":", hit->part));
    EL_TRY(el_str_put_float(out, hit->score));
    EL_TRY(el_str_puts(out, ",\"text\":"));
    EL_TRY(hit->text ? el_str_put_json(out, hit->text, hit->text_length) : el_str_puts(out, "null"));
    return el_str_printf(out, ",\"metadata\":%s}", hit->metadata ? hit->metadata : "null");
}

int el_index_put_answer(struct el_str *out, const char *name, const struct el_index_answer *answer) {
    EL_TRY(el_str_printf(out, "{\"index\":\"%s\",\"results\":[", name));
    for (size_t i = 0; i < answer->count; i++) {
        if (i) EL_TRY(el_str_putc(out, ','));
        EL_TRY(put_hit(out, &answer->hits[i]));
    }
    EL_TRY(
        el_str_printf(out, "],\"stats\":{\"mode\":\"%s\",\"rows\":", el_query_mode_name(answer->stats.mode)));
    EL_TRY(answer->stats.rows < 0 ? el_str_puts(out, "null")
                                  : el_str_printf(out, "%" PRId64, answer->stats.rows));
    EL_TRY(el_str_printf(out, ",\"probes\":%d,\"recall\":", answer->stats.probes));
    EL_TRY(answer->stats.recall < 0 ? el_str_puts(out, "null")
                                    : el_str_printf(out, "%.4f", answer->stats.recall));
    return el_str_printf(out, ",\"ms\":%.3f}}", answer->stats.ms);
}
