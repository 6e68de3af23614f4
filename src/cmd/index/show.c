// SPDX-License-Identifier: Apache-2.0
// `index list` and `index stats`: the figures of all indexes, and of one.
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/index/index.h"
#include "serve/index_text.h"

static void print_stats(const char *name, const struct el_index *index, const struct el_index_stats *stats) {
    const struct el_vector_facts *facts = el_index_facts(index);
    printf("%s: %" PRId64 " documents, %" PRId64 " chunks, %.1f MB; %d dimensions, %s, %s", name,
           stats->documents, stats->chunks, (double)stats->bytes / 1e6, facts->dim,
           el_metric_name(facts->metric), *facts->model ? facts->model : "no model");
    if (!el_streq(el_index_store_name(index), "embedded")) printf("; at %s", el_index_place(index));
    if (facts->kind == EL_INDEX_IVF) printf("; %d lists of %" PRId64 " vectors", stats->lists, stats->listed);
    if (stats->dead) printf("; %" PRId64 " vectors to be freed by `compact`", stats->dead);
    putchar('\n');
}

struct listing {
    const struct el_index_wish *wish;
    size_t count;
};

static int show(void *context, const char *name) {
    struct listing *listing = context;
    struct el_str out el_auto(el_str_done) = {0};
    struct el_index *index = NULL;
    struct el_index_stats stats;
    EL_TRY(el_search_open(listing->wish->root, name, false, &index));
    int status = el_index_stats(index, &stats);
    if (status == 0 && listing->wish->json) {
        status = el_index_put_stats(&out, name, el_index_store_name(index), el_index_facts(index), &stats);
        if (status == 0) printf("%s%s", listing->count ? "," : "", out.data);
    } else if (status == 0) {
        print_stats(name, index, &stats);
    }
    listing->count++;
    el_index_close(index);
    return status;
}

// One that is damaged does not hide the others.
static int show_or_tell(void *context, const char *name) {
    if (show(context, name) < 0) fprintf(stderr, "eleanor index: %s\n", el_error_detail());
    return 0;
}

int el_index_show_all(const struct el_index_wish *wish) {
    struct listing listing = {.wish = wish};
    if (wish->json) printf("{\"indexes\":[");
    EL_TRY(el_search_list(wish->root, show_or_tell, &listing));
    if (wish->json)
        printf("]}\n");
    else if (!listing.count)
        printf("there is no index in %s; `eleanor index create NAME` makes one\n", wish->root);
    return 0;
}

int el_index_show(const struct el_index_wish *wish) {
    struct listing listing = {.wish = wish};
    EL_TRY(show(&listing, wish->name));
    if (wish->json) putchar('\n');
    return 0;
}
