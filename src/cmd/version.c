// SPDX-License-Identifier: Apache-2.0
// `eleanor version`: what this binary is made of and what it runs on, for bug reports.
#include <archive.h>
#include <curl/curl.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>
#include <yaml.h>

#include "base/error.h"
#include "base/str.h"
#include "base/thread.h"
#include "cmd/cmd.h"
#include "commit.h" // made by the build: EL_COMMIT, EL_COMPILER
#include "eleanor/eleanor.h"
#include "ops/ops.h"

static json_t *libraries(void) {
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "jansson", jansson_version_str(), "libmicrohttpd",
                     MHD_get_version(), "libcurl", curl_version_info(CURLVERSION_NOW)->version, "libarchive",
                     strchr(archive_version_string(), ' ') + 1, "libyaml", yaml_get_version_string(),
                     "utf8proc", utf8proc_version());
}

// Everything there is to say, or NULL without memory.
static json_t *facts(const char *simd) {
    json_t *fillings = json_array();
    for (int i = 0; i < el_ops_count(); i++)
        json_array_append_new(fillings, json_string(el_ops_at(i)->name));
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:i, s:o}", "version", EL_VERSION, "commit", EL_COMMIT,
                     "compiler", EL_COMPILER, "simd", simd, "simd_available", fillings, "processors",
                     el_cpu_count(), "libraries", libraries());
}

static void print_text(const json_t *root) {
    const char *name;
    json_t *value;
    size_t index;
    printf("eleanor %s (%s)\n", EL_VERSION, EL_COMMIT);
    printf("compiler    %s\n", EL_COMPILER);
    printf("simd        %s (of", json_string_value(json_object_get(root, "simd")));
    json_array_foreach(json_object_get(root, "simd_available"), index, value)
        printf(" %s", json_string_value(value));
    printf(")\nprocessors  %d\nlibraries  ", el_cpu_count());
    json_object_foreach(json_object_get(root, "libraries"), name, value)
        printf(" %s %s", name, json_string_value(value));
    putchar('\n');
}

static int run(struct el_args *args) {
    bool json = false;
    for (const char *flag, *value; el_args_next(args, &flag, &value) > 0;)
        json |= el_streq(flag, "json");
    const struct el_ops *ops;
    if (el_ops_find(NULL, &ops) < 0) return el_cmd_failed(args); // ELEANOR_SIMD names none
    json_t *root = facts(ops->name);
    if (!root) {
        el_fail(EL_ENOMEM, "no memory to print the version");
        return el_cmd_failed(args);
    }
    if (json) {
        json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_text(root);
    }
    json_decref(root);
    return EL_EXIT_DONE;
}

const struct el_verb el_verb_version = {
    .name = "version",
    .operands = "",
    .summary = "print version, commit, compiler, the SIMD in use and the libraries",
    .flags = (const struct el_flag[]){{"json", 0, NULL, "print a JSON object"}, {0}},
    .run = run,
};
