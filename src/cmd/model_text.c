// SPDX-License-Identifier: Apache-2.0
// Models as lines of text and as JSON.
#include "cmd/model_text.h"

#include <signal.h>
#include <stdio.h>

#include "cmd/cmd.h"

void el_model_text_prepare(void) {
    signal(SIGXFSZ, SIG_IGN);
}

json_t *el_model_text_json(const struct el_model_entry *entry) {
    json_t *aliases = json_array();
    for (const char *const *alias = el_store_aliases(entry->name); *alias; alias++)
        json_array_append_new(aliases, json_string(*alias));
    return json_pack("{s:s, s:o, s:s, s:I, s:b, s:s, s:s}", "name", entry->name, "aliases", aliases, "path",
                     entry->path, "bytes", (json_int_t)entry->bytes, "verified", entry->verified, "license",
                     entry->license, "source", entry->source);
}

int el_model_text_print(const struct el_model_entry *entry, const char *done, bool json) {
    if (json) {
        json_t *object = el_model_text_json(entry);
        json_dumpf(object, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(object);
        return EL_EXIT_DONE;
    }
    printf("%s %s, %s (%.1f MB)\n%s\n", entry->name, done,
           entry->verified ? "verified by the catalog's checksums"
                           : "not verified: the catalog has no checksums for it",
           (double)entry->bytes / 1e6, entry->path);
    return EL_EXIT_DONE;
}
