// SPDX-License-Identifier: Apache-2.0
// `eleanor pull`: a model from the hub into the store.
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
    const char *name = NULL;
    bool json = false, fetched = false;
    for (const char *flag, *value; el_args_next(args, &flag, &value) > 0;) {
        if (!flag)
            name = value;
        else if (el_streq(flag, "revision"))
            options.revision = value;
        else if (el_streq(flag, "replace"))
            options.replace = true;
        else
            json |= el_streq(flag, "json");
    }
    el_model_text_prepare();
    el_progress_open(&progress, stderr);
    el_auto(el_store_entry_done) struct el_model_entry entry = {0};
    if (el_store_pull(name, &options, &entry, &fetched) < 0) return el_cmd_failed(args);
    return el_model_text_print(&entry, fetched ? "fetched" : "is here already", json);
}

const struct el_verb el_verb_pull = {
    .name = "pull",
    .operands = "NAME",
    .summary = "fetch a model from the Hugging Face hub into the store",
    .details = "NAME is a model of the catalog (`eleanor models --all`), or OWNER/NAME of the hub. What\n"
               "was fetched before an interruption is kept, and the same command goes on from\n"
               "there. Each file is held against the catalog's checksum, else the hub's; the\n"
               "model appears when all of it is right.\n\n"
               "HF_ENDPOINT names a mirror, HF_TOKEN a token for private and gated models;\n"
               "HF_HUB_OFFLINE=1 keeps from fetching. Proxies: https_proxy, http_proxy, no_proxy.",
    .flags = (const struct el_flag[]){{"revision", 0, "REV", "branch, tag or commit (main)"},
                                      {"replace", 0, NULL, "fetch again and replace what is installed"},
                                      {"json", 0, NULL, "print a JSON object"},
                                      {0}},
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
