// SPDX-License-Identifier: Apache-2.0
// `eleanor models`: what is installed, what the catalog knows beside it, and removal.
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/model_text.h"
#include "store/catalog.h"
#include "store/install.h"

struct installed {
    struct el_model_entry *entries;
    size_t count;
};

static void installed_done(struct installed *installed) {
    el_store_list_done(installed->entries, installed->count);
}

static bool is_installed(const struct installed *installed, const char *name) {
    for (size_t i = 0; i < installed->count; i++)
        if (el_streq(installed->entries[i].name, name)) return true;
    return false;
}

static void print_json(const struct installed *installed, bool all) {
    json_t *models = json_array(), *root = json_pack("{s:o}", "installed", models);
    for (size_t i = 0; i < installed->count; i++)
        json_array_append_new(models, el_model_text_json(&installed->entries[i]));
    json_t *others = json_array();
    for (size_t i = 0; i < el_catalog_count; i++) {
        const struct el_catalog_model *model = &el_catalog[i];
        if (is_installed(installed, model->name)) continue;
        json_array_append_new(others, json_pack("{s:s, s:s, s:s, s:b}", "name", model->name, "hub",
                                                model->hub, "license", model->license, "has_checksums",
                                                el_catalog_file(model, 0) != NULL));
    }
    if (all) json_object_set(root, "available", others);
    json_decref(others);
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

// A column is as wide as its widest name.
static int name_width(const struct installed *installed) {
    size_t width = strlen("NAME");
    for (size_t i = 0; i < installed->count; i++)
        width = EL_MAX(width, strlen(installed->entries[i].name));
    for (size_t i = 0; i < el_catalog_count; i++)
        width = EL_MAX(width, strlen(el_catalog[i].name));
    return (int)width;
}

static void print_text(const struct installed *installed, bool all) {
    int width = name_width(installed);
    if (!installed->count)
        puts("No model is installed; `eleanor pull NAME` or `eleanor import PATH` gets one.");
    else
        printf("%-*s  %9s  %-10s  %-12s  SOURCE\n", width, "NAME", "SIZE", "CHECKED", "LICENCE");
    for (size_t i = 0; i < installed->count; i++) {
        const struct el_model_entry *entry = &installed->entries[i];
        printf("%-*s  %6.1f MB  %-10s  %-12s  %s\n", width, entry->name, (double)entry->bytes / 1e6,
               entry->verified ? "verified" : "unverified", *entry->license ? entry->license : "unknown",
               entry->source);
    }
    if (!all) return;
    puts("\nThe catalog knows beside them (`eleanor pull NAME`):");
    for (size_t i = 0; i < el_catalog_count; i++) {
        const struct el_catalog_model *model = &el_catalog[i];
        if (is_installed(installed, model->name)) continue;
        printf("%-*s  %-12s  %s%s\n", width, model->name, model->license, model->hub,
               el_catalog_file(model, 0) ? "" : " (no checksums)");
    }
}

static int list(struct el_args *args, bool json, bool all) {
    el_auto(installed_done) struct installed installed = {0};
    if (el_store_list(&installed.entries, &installed.count) < 0) return el_cmd_failed(args);
    if (json)
        print_json(&installed, all);
    else
        print_text(&installed, all);
    return EL_EXIT_DONE;
}

static int print_path(struct el_args *args, const char *name) {
    el_auto_free char *path = NULL;
    if (el_store_find(name, &path) < 0) return el_cmd_failed(args);
    puts(path);
    return EL_EXIT_DONE;
}

static int remove_model(struct el_args *args, const char *name, bool json) {
    el_auto(el_store_entry_done) struct el_model_entry entry = {0};
    if (el_store_remove(name, &entry) < 0) return el_cmd_failed(args);
    if (json) return el_model_text_print(&entry, "removed", json);
    printf("%s removed, %.1f MB freed\n", entry.name, (double)entry.bytes / 1e6);
    return EL_EXIT_DONE;
}

static int verify_model(struct el_args *args, const char *name, bool json) {
    el_auto(el_store_entry_done) struct el_model_entry entry = {0};
    if (el_store_verify(name, &entry) < 0) return el_cmd_failed(args);
    return el_model_text_print(&entry, "is as it was installed", json);
}

static int run(struct el_args *args) {
    const char *operands[2] = {NULL, NULL};
    int count = 0;
    bool json = false, all = false;
    for (const char *flag, *value; el_args_next(args, &flag, &value) > 0;) {
        if (!flag) operands[count++] = value;
        json |= el_streq(flag, "json");
        all |= el_streq(flag, "all");
    }
    if (count == 0) return list(args, json, all);
    if (count == 2 && el_streq(operands[0], "rm")) return remove_model(args, operands[1], json);
    if (count == 2 && el_streq(operands[0], "path")) return print_path(args, operands[1]);
    if (count == 2 && el_streq(operands[0], "verify")) return verify_model(args, operands[1], json);
    el_fail(EL_EINVAL,
            "\"%s\" can't be done; say `models rm NAME`, `models path NAME` or `models verify NAME`",
            operands[0]);
    return el_cmd_usage(args);
}

const struct el_verb el_verb_models = {
    .name = "models",
    .operands = "[rm|path|verify NAME]",
    .summary = "list, locate, verify or remove models",
    .details = "Without operands lists the installed models. `rm NAME` removes one, `path NAME`\n"
               "prints its folder, `verify NAME` hashes its files again. NAME is a name, an alias\n"
               "or a hub repository.\n\n"
               "Models are under $ELEANOR_HOME/models, else $XDG_DATA_HOME/eleanor/models, else\n"
               "~/.local/share/eleanor/models.",
    .flags = (const struct el_flag[]){{"all", 'a', NULL, "list what the catalog knows beside the installed"},
                                      {"json", 0, NULL, "print a JSON object"},
                                      {0}},
    .min_operands = 0,
    .max_operands = 2,
    .run = run,
};
