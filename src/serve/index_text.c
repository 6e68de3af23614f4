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

static int put_list(struct el_str *out, const struct el_index_list *list) {
    EL_TRY(el_str_putc(out, '['));
    for (size_t i = 0; i < list->count; i++) {
        if (i) EL_TRY(el_str_putc(out, ','));
        EL_TRY(put_hit(out, &list->hits[i]));
    }
    return el_str_putc(out, ']');
}

static int put_head(struct el_str *out, const char *name) {
    return el_str_printf(out, "{\"index\":\"%s\",\"results\":", name);
}

static int put_stats(struct el_str *out, const struct el_query_stats *stats) {
    EL_TRY(el_str_printf(out, ",\"stats\":{\"mode\":\"%s\",\"rows\":", el_query_mode_name(stats->mode)));
    EL_TRY(stats->rows < 0 ? el_str_puts(out, "null") : el_str_printf(out, "%" PRId64, stats->rows));
    EL_TRY(el_str_printf(out, ",\"probes\":%d,\"recall\":", stats->probes));
    EL_TRY(stats->recall < 0 ? el_str_puts(out, "null") : el_str_printf(out, "%.4f", stats->recall));
    return el_str_printf(out, ",\"asked\":%zu,\"ms\":%.3f}}", stats->asked, stats->ms);
}

int el_index_put_result(struct el_str *out, const char *name, const struct el_index_list *list,
                        const struct el_query_stats *stats) {
    EL_TRY(put_head(out, name));
    EL_TRY(put_list(out, list));
    return put_stats(out, stats);
}

int el_index_put_results(struct el_str *out, const char *name, const struct el_index_list *lists,
                         size_t count, const struct el_query_stats *stats) {
    EL_TRY(put_head(out, name));
    for (size_t i = 0; i < count; i++) {
        EL_TRY(el_str_putc(out, i ? ',' : '['));
        EL_TRY(put_list(out, &lists[i]));
    }
    EL_TRY(el_str_putc(out, ']'));
    return put_stats(out, stats);
}
