// SPDX-License-Identifier: Apache-2.0
// `eleanor index`: what is to be done, by the arguments; deleting, compacting and verifying.
#include "cmd/index/index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "device/trace.h"
#include "serve/device_settings.h"
#include "store/store.h"

enum { MOST_TOP = 10000, DEFAULT_MAX_FILE = 16 << 20, MOST_WORKERS = 64 };

// ---- changes ----

static int delete_documents(const struct el_index_wish *wish) {
    struct el_index *index = NULL;
    int64_t removed = 0;
    EL_TRY(el_search_open(wish->root, wish->name, true, &index));
    int status = wish->filter ? el_index_remove_passing(index, wish->filter, &removed)
                              : el_index_remove(index, wish->ids, wish->id_count, &removed);
    el_index_close(index);
    if (status < 0) return status;
    printf(wish->json ? "{\"name\":\"%s\",\"removed\":%" PRId64 "}\n" : "%s: %" PRId64 " documents removed\n",
           wish->name, removed);
    return 0;
}

static int delete_index(const struct el_index_wish *wish) {
    EL_TRY(el_search_delete(wish->root, wish->name));
    printf(wish->json ? "{\"name\":\"%s\",\"deleted\":true}\n" : "%s is deleted\n", wish->name);
    return 0;
}

static int verify(const struct el_index_wish *wish) {
    struct el_index *index = NULL;
    EL_TRY(el_search_open(wish->root, wish->name, false, &index));
    int status = el_index_verify(index);
    el_index_close(index);
    return status < 0 ? el_fail_in(status, "index %s", wish->name) : el_index_show(wish);
}

// On a GPU where one is named, as `query --vectors`.
static int compact(const struct el_config *config, const struct el_index_wish *wish) {
    struct el_trace *trace = NULL;
    struct el_manager *manager = NULL;
    struct el_index *index = NULL;
    int status = el_streq(config->device, "auto") ? 0 : el_devices_open(config, &trace, &manager);
    if (status == 0) status = el_search_open(wish->root, wish->name, true, &index);
    if (status == 0) {
        el_index_use_devices(index, manager);
        status = el_index_compact(index);
        if (status < 0) el_fail_in(status, "index %s", wish->name);
    }
    el_index_close(index);
    el_manager_close(manager);
    el_trace_close(trace);
    return status < 0 ? status : el_index_show(wish);
}

// ---- arguments ----

static int check(const struct el_index_wish *wish) {
    const bool adds = el_streq(wish->action, "add"), asks = el_streq(wish->action, "query");
    if (!wish->name && !el_streq(wish->action, "list"))
        return el_fail(EL_EINVAL, "`index %s` needs the NAME of an index", wish->action);
    if ((adds || asks) && !wish->operand_count == !wish->vectors)
        return el_fail(EL_EINVAL, adds ? "`index add` takes either files and folders, or --vectors"
                                       : "`index query` takes either a question, or --vectors");
    if (wish->lines && !(adds && wish->vectors))
        return el_fail(EL_EINVAL, "--lines tells of the rows of `index add --vectors`");
    if (wish->vectors && wish->mode != EL_QUERY_VECTOR)
        return el_fail(EL_EINVAL, "--mode %s takes a question, not --vectors",
                       el_query_mode_name(wish->mode));
    if (asks && !wish->npy && (wish->output || wish->scores))
        return el_fail(EL_EINVAL, "`index query` writes files with --format npy alone");
    if (wish->filter && wish->id_count)
        return el_fail(EL_EINVAL, "`index delete` takes either --document or --filter");
    if (!adds && wish->operand_count > (size_t)asks)
        return el_fail(EL_EINVAL, "\"%s\" is too much", wish->operands[asks]);
    return 0;
}

static int work(const struct el_config *config, const struct el_index_wish *wish, bool *ret_failed) {
    const char *action = wish->action;
    if (el_streq(action, "create")) return el_index_make(config, wish);
    if (el_streq(action, "add"))
        return wish->lines     ? el_index_add_lines(wish)
               : wish->vectors ? el_index_add_vectors(wish)
                               : el_index_add_files(config, wish, ret_failed);
    if (el_streq(action, "merge")) return el_index_merge_parts(wish);
    if (el_streq(action, "query")) return el_index_query(config, wish);
    if (el_streq(action, "list")) return el_index_show_all(wish);
    if (el_streq(action, "stats")) return el_index_show(wish);
    if (el_streq(action, "delete"))
        return wish->id_count || wish->filter ? delete_documents(wish) : delete_index(wish);
    if (el_streq(action, "export")) return el_index_export(wish);
    if (el_streq(action, "compact")) return compact(config, wish);
    return verify(wish);
}

static int check_action(const char *action) {
    static const char *const actions[] = {"create", "add",    "merge",   "query",  "list",
                                          "stats",  "delete", "compact", "export", "verify"};
    for (size_t i = 0; i < EL_COUNT(actions); i++)
        if (el_streq(actions[i], action)) return 0;
    const char *near = el_nearest(action, actions, EL_COUNT(actions));
    return el_fail(EL_EINVAL, "\"%s\" can't be done with an index%s%s%s", action,
                   near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

// "md,txt" as patterns, packed files among them.
static int add_ends(struct el_str *globs, const char *ends) {
    static const char *const packings[] = {"", ".gz", ".xz", ".bz2", ".zst"};
    while (*ends) {
        const int length = (int)strcspn(ends, ",");
        for (size_t i = 0; length && i < EL_COUNT(packings); i++)
            EL_TRY(el_str_printf(globs, "*.%.*s%s\n", length, ends, packings[i]));
        ends += length + (ends[length] == ',');
    }
    return 0;
}

static int parse_chunk_flag(struct el_index_wish *wish, const char *flag, const char *value) {
    enum { MOST_TOKENS = 1 << 20 };
    int status = 0;
    if (el_streq(flag, "chunk")) {
        wish->chunk_auto = el_streq(value, "auto");
        if (!wish->chunk_auto) status = el_chunk_by_parse(value, &wish->chunk_by);
    }
    if (el_streq(flag, "chunk-tokens")) status = el_parse_i64(value, 1, MOST_TOKENS, &wish->chunk_tokens);
    if (el_streq(flag, "chunk-overlap")) {
        status = el_parse_i64(value, 0, MOST_TOKENS, &wish->chunk_overlap);
        if (status == 0 && !wish->chunk_overlap) wish->chunk_overlap = EL_SEARCH_NO_OVERLAP;
    }
    return status;
}

static int parse_flag(struct el_index_wish *wish, const char *flag, const char *value) {
    int status = 0;
    if (el_streq(flag, "json")) wish->json = true;
    if (el_streq(flag, "update")) wish->update = true;
    if (el_streq(flag, "dry-run")) wish->dry_run = true;
    if (el_streq(flag, "hidden")) wish->hidden = true;
    if (el_streq(flag, "no-ignore")) wish->no_ignore = true;
    if (el_streq(flag, "include")) status = el_str_printf(&wish->include, "%s\n", value);
    if (el_streq(flag, "exclude")) status = el_str_printf(&wish->exclude, "%s\n", value);
    if (el_streq(flag, "ext")) status = add_ends(&wish->include, value);
    if (el_streq(flag, "workers")) status = el_parse_i64(value, 1, MOST_WORKERS, &wish->workers);
    if (el_streq(flag, "metric")) wish->metric = value;
    if (el_streq(flag, "kind")) wish->kind = value;
    if (el_streq(flag, "recall")) status = el_parse_f64(value, 0, 1, &wish->recall);
    if (el_streq(flag, "model")) wish->model = value;
    if (el_streq(flag, "store")) wish->store = value;
    if (el_streq(flag, "vectors")) wish->vectors = value;
    if (el_streq(flag, "shard")) wish->shard = value;
    if (el_streq(flag, "lines")) wish->lines = value;
    if (el_streq(flag, "output")) wish->output = value;
    if (el_streq(flag, "scores")) wish->scores = value;
    if (el_streq(flag, "format")) {
        wish->json = el_streq(value, "json");
        wish->npy = el_streq(value, "npy");
    }
    if (el_streq(flag, "document")) wish->ids[wish->id_count++] = value;
    if (el_streq(flag, "filter")) wish->filter = value;
    if (el_streq(flag, "mode")) status = el_query_mode_parse(value, &wish->mode);
    if (el_streq(flag, "dim")) status = el_parse_i64(value, 1, EL_VECTOR_MAX_DIM, &wish->dim);
    if (el_streq(flag, "top")) status = el_parse_i64(value, 1, MOST_TOP, &wish->top);
    if (el_streq(flag, "max-file")) status = el_parse_bytes(value, &wish->max_file);
    if (el_starts_with(flag, "chunk")) status = parse_chunk_flag(wish, flag, value);
    return status < 0 ? el_fail_in(status, "--%s", flag) : 0;
}

static int parse(struct el_args args, struct el_index_wish *wish) {
    size_t count = 0;
    while (args.argv[count])
        count++;
    EL_TRY(el_alloc(count + 1, sizeof *wish->operands, &wish->operands));
    EL_TRY(el_alloc(count + 1, sizeof *wish->ids, &wish->ids));
    for (const char *flag, *value; el_args_next(&args, &flag, &value) > 0;) {
        if (flag)
            EL_TRY(parse_flag(wish, flag, value));
        else if (!wish->action)
            wish->action = value;
        else if (!wish->name)
            wish->name = value;
        else
            wish->operands[wish->operand_count++] = value;
    }
    EL_TRY(check_action(wish->action));
    return check(wish);
}

static int run(struct el_args *args) {
    struct el_config config el_auto(el_config_done) = {0};
    struct el_index_wish wish = {.max_file = DEFAULT_MAX_FILE, .chunk_auto = true};
    bool failed = false;
    int status = parse(*args, &wish);
    if (status == 0) status = el_args_config(args, &config);
    int code = status < 0 ? el_cmd_usage(args) : EL_EXIT_DONE;
    if (code == EL_EXIT_DONE) {
        status = el_store_beside("indexes", &wish.root);
        if (status == 0) status = work(&config, &wish, &failed);
        if (status < 0) code = el_cmd_failed(args);
    }
    el_free(wish.root);
    el_free(wish.operands);
    el_free(wish.ids);
    el_str_done(&wish.include);
    el_str_done(&wish.exclude);
    return failed ? EL_EXIT_FAILED : code;
}

const struct el_verb el_verb_index = {
    .name = "index",
    .operands = "create|add|merge|query|list|stats|delete|compact|export|verify [NAME] [...]",
    .summary = "search texts by meaning: indexes of files, and questions to them",
    .details =
        "index create NAME          an empty index, for a model's vectors or for those of --dim\n"
        "index add NAME PATH...     files and folders: what is new or changed is embedded; each batch "
        "stays,\n"
        "                           so after an interruption the same command goes on\n"
        "index add NAME --vectors FILE.npy   the rows of a float32 matrix, as documents FILE:ROW\n"
        "                           with --lines FILE.jsonl the lines have their ids, texts and metadata\n"
        "index merge NAME           joins the parts that the processes of a launcher have added\n"
        "index query NAME \"TEXT\"    the nearest parts of files; with --vectors those of each row,\n"
        "                           for which --device copies the index to GPUs, --index-bytes makes it "
        "bytes\n"
        "                           --format npy -o IDS.npy [--scores SCORES.npy] writes NumPy arrays\n"
        "index list, index stats NAME, index delete NAME [--document ID]... [--filter JSON]\n"
        "index compact NAME         frees the room of what was replaced or deleted; makes the lists of ivf "
        "anew,\n"
        "                           with the help of a GPU that --device names\n"
        "index export NAME          -o FILE: FILE.npy and FILE.jsonl, which --vectors and --lines take back\n"
        "index verify NAME          holds every vector against its checksum\n"
        "\n"
        "Indexes are under $ELEANOR_HOME/indexes, else $XDG_DATA_HOME/eleanor/indexes, else\n"
        "~/.local/share/eleanor/indexes. One process writes to an index at a time, any number read.\n"
        "Started by Open MPI, Slurm or another that sets PMI_RANK, `add` takes its share of the documents\n"
        "into a part of its own; in a Kubernetes Job give --shard /COMPLETIONS. Then `merge` joins the "
        "parts.",
    .flags =
        (const struct el_flag[]){
            {"metric", 0, "cosine|ip|l2", "what is near (default cosine)"},
            {"dim", 0, "N", "create: dimensions, for vectors made elsewhere"},
            {"kind", 0, "flat|ivf", "create: search all rows, or lists of near ones"},
            {"recall", 0, "SHARE", "create, query: of the true neighbours that ivf finds (default 0.95)"},
            {"store", 0, "URL", "create: keep it at postgres://USER@HOST/DATABASE"},
            {"vectors", 0, "FILE", "add, query: take the rows of this NumPy file"},
            {"update", 0, NULL, "add: remove what is gone from the PATHs"},
            {"dry-run", 0, NULL, "add: only say what would be done"},
            {"ext", 0, "LIST", "add: files whose names end so: md,txt"},
            {"include", 0, "GLOB", "add: only such files; may be repeated"},
            {"exclude", 0, "GLOB", "add: none of these; may be repeated"},
            {"no-ignore", 0, NULL, "add: what .gitignore files leave out too"},
            {"hidden", 0, NULL, "add: names that begin with a dot too"},
            {"max-file", 0, "SIZE", "add: skip files over this (default 16MiB)"},
            {"chunk", 0, "auto|paragraph|sentence|tokens|markdown|code",
             "add: what files are cut by (default auto: their kind)"},
            {"chunk-tokens", 0, "N", "add: tokens of a chunk, at most"},
            {"chunk-overlap", 0, "N", "add: tokens that the next chunk repeats"},
            {"workers", 0, "N", "add: threads that read files ahead"},
            {"lines", 0, "FILE", "add: documents of the --vectors, JSON lines as of export"},
            {"output", 'o', "FILE",
             "export: write FILE.npy and FILE.jsonl (default NAME); query: ids to FILE"},
            {"format", 0, "text|json|npy", "query: npy writes ids that are numbers, [rows][k], -1 for none"},
            {"scores", 0, "FILE", "query: with npy, scores to this file"},
            {"shard", 0, "I/N", "add: take share I (from 0) of N; \"/N\": the launcher's"},
            {"top", 'k', "N", "query: how many results (default 10)"},
            {"mode", 0, "MODE", "query: by vector, text (words) or hybrid (both)"},
            {"filter", 0, "JSON", "query, delete: documents whose metadata pass it"},
            {"document", 0, "ID", "delete: this document; may be repeated"},
            {"json", 0, NULL, "print JSON"},
            {0}},
    .settings = (const char *const[]){"model", "device", "precision", "threads", "pin", "batch_tokens",
                                      "streams", "index_bytes", "log_level", "log_format", NULL},
    .min_operands = 1,
    .max_operands = -1,
    .run = run,
};
