// SPDX-License-Identifier: Apache-2.0
// What `eleanor index add` says while it works and at its end.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "cmd/index/add.h"

void el_add_failed(struct el_add_summary *summary, const char *path, const char *key, const char *why) {
    struct el_str *list = &summary->failures;
    el_progress_note(&summary->progress, "%s: %s", path, why);
    bool whole = el_str_puts(list, summary->failed ? ",{\"path\":" : "{\"path\":") == 0 &&
                 el_str_put_json(list, path, strlen(path)) == 0 &&
                 el_str_printf(list, ",\"kind\":\"%s\",\"reason\":", key) == 0 &&
                 el_str_put_json(list, why, strlen(why)) == 0 && el_str_putc(list, '}') == 0;
    summary->failed++;
    (void)whole; // without memory for it the next thing fails
}

void el_add_tell(const struct el_add_summary *summary, const char *what, const char *path, const char *why) {
    if (!summary->wish->dry_run || summary->wish->json) return;
    printf("%s %s%s%s\n", what, path, why ? ": " : "", why ? why : "");
}

// How many files were left out and by what, if any.
static void print_skipped(const char *what, size_t count) {
    if (count) printf("  skipped, %s: %zu\n", what, count);
}

static void print_text(const struct el_add_summary *summary, const struct el_walk *walk) {
    const double seconds = (double)(el_now_ns() - summary->start_ns) / 1e9;
    const int64_t files = summary->added + summary->changed;
    printf("%s: %" PRId64 " added, %" PRId64 " changed, %" PRId64 " unchanged, %" PRId64 " removed%s; ",
           summary->wish->name, summary->added, summary->changed, summary->unchanged, summary->removed,
           summary->wish->dry_run ? " if this were no --dry-run" : "");
    printf("%" PRId64 " chunks embedded; %.1f s", summary->chunks, seconds);
    if (files && !summary->wish->dry_run) printf(", %.1f files/s", (double)files / seconds);
    printf("\n  read: %zu", summary->read);
    for (int i = 0; i < EL_KIND_COUNT; i++)
        if (summary->kinds[i])
            printf(", %s: %zu", el_file_kind_name((enum el_file_kind)i), summary->kinds[i]);
    if (summary->unpacked) printf("; unpacked: %zu", summary->unpacked);
    if (summary->converted) printf("; converted to UTF-8: %zu", summary->converted);
    putchar('\n');
    for (int i = 0; i < EL_FILE_OUTCOMES; i++)
        if (i != EL_FILE_READ && summary->outcomes[i])
            printf("  %s, %s: %zu\n", el_file_outcomes[i].fails ? "failed" : "skipped",
                   el_file_outcomes[i].text, summary->outcomes[i]);
    print_skipped("hidden", walk->hidden);
    print_skipped("by .gitignore", walk->ignored);
    print_skipped("by --include, --exclude or --ext", walk->excluded);
    print_skipped("links and others", walk->links);
    if (summary->failed) printf("  failed: %zu, named above\n", summary->failed);
}

static void print_json(const struct el_add_summary *summary, const struct el_walk *walk) {
    printf("{\"index\":\"%s\",\"dry_run\":%s,\"files\":%zu,\"added\":%" PRId64 ",\"changed\":%" PRId64
           ",\"unchanged\":%" PRId64 ",\"removed\":%" PRId64 ",\"chunks\":%" PRId64,
           summary->wish->name, summary->wish->dry_run ? "true" : "false", walk->count, summary->added,
           summary->changed, summary->unchanged, summary->removed, summary->chunks);
    printf(",\"read\":%zu,\"unpacked\":%zu,\"converted\":%zu,\"text_bytes\":%" PRIu64 ",\"seconds\":%.3f",
           summary->read, summary->unpacked, summary->converted, summary->text_bytes,
           (double)(el_now_ns() - summary->start_ns) / 1e9);
    for (int i = 0; i < EL_KIND_COUNT; i++)
        printf("%s\"%s\":%zu", i ? "," : ",\"kinds\":{", el_file_kind_name((enum el_file_kind)i),
               summary->kinds[i]);
    printf("},\"skipped\":{\"hidden\":%zu,\"ignored\":%zu,\"excluded\":%zu,\"links\":%zu", walk->hidden,
           walk->ignored, walk->excluded, walk->links);
    for (int i = 0; i < EL_FILE_OUTCOMES; i++)
        if (i != EL_FILE_READ && !el_file_outcomes[i].fails)
            printf(",\"%s\":%zu", el_file_outcomes[i].key, summary->outcomes[i]);
    printf("},\"failed\":[%s]}\n", summary->failures.length ? summary->failures.data : "");
}

void el_add_print(const struct el_add_summary *summary, const struct el_walk *walk) {
    if (summary->wish->json)
        print_json(summary, walk);
    else
        print_text(summary, walk);
}
