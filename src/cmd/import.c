// SPDX-License-Identifier: Apache-2.0
// `eleanor import`: a model from a folder or an archive into the store.
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/model_text.h"
#include "store/install.h"

static int run(struct el_args *args) {
    struct el_progress progress;
    struct el_install_options options = {.progress = &progress};
    const char *path = NULL;
    bool json = false;
    int status = 0;
    for (const char *flag, *value; status == 0 && el_args_next(args, &flag, &value) > 0;) {
        if (!flag)
            path = value;
        else if (el_streq(flag, "name"))
            options.name = value;
        else if (el_streq(flag, "replace"))
            options.replace = true;
        else if (el_streq(flag, "max-size"))
            status = el_parse_bytes(value, &options.max_bytes);
        else
            json |= el_streq(flag, "json");
    }
    if (status < 0) {
        el_fail_in(status, "--max-size");
        return el_cmd_usage(args);
    }
    el_model_text_prepare();
    el_progress_open(&progress, stderr);
    el_auto(el_store_entry_done) struct el_model_entry entry = {0};
    status = el_store_import(path, &options, &entry);
    if (status < 0) return el_cmd_failed(args);
    return el_model_text_print(&entry, "imported", json);
}

const struct el_verb el_verb_import = {
    .name = "import",
    .operands = "PATH",
    .summary = "put a model from a folder, .zip, .tar.gz or Python wheel into the store",
    .details = "PATH is a folder, .zip, .whl, .tar, .tar.gz or .tgz that holds config.json and\n"
               "model.safetensors in one of its folders. A model that the catalog knows, by name\n"
               "or by its weights, must have the catalog's checksums.\n\n"
               "An archive is refused as a whole when an entry of it is a link or climbs out of\n"
               "it, or when it has more than 100,000 entries or unpacks to more than --max-size\n"
               "or to more than 100 times its own size (judged above 64 MiB). Nothing is\n"
               "installed unless all of it is right.",
    .flags = (const struct el_flag[]){{"name", 0, "NAME", "call the model NAME"},
                                      {"replace", 0, NULL, "replace an installed model of that name"},
                                      {"max-size", 0, "SIZE", "most an archive may unpack to (32GiB)"},
                                      {"json", 0, NULL, "print a JSON object"},
                                      {0}},
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
