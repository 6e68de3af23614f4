// SPDX-License-Identifier: Apache-2.0
// `eleanor bench`: what is measured or compared, by the arguments.
#include "cmd/bench/bench.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"

enum { MOST_SIZE = 65536, MOST_WORDS = 65536 };

struct wish {
    struct el_bench_options options;
    const char *what; // "device", "embed"; NULL with --compare
    bool compare;
};

// "1,2,4", rising.
static int parse_sizes(const char *text, struct el_bench_options *options) {
    options->size_count = 0;
    for (const char *p = text;; p++) {
        char *item el_auto_free = NULL;
        const size_t length = strcspn(p, ",");
        int64_t size;
        if (options->size_count == EL_BENCH_SIZES)
            return el_fail(EL_EINVAL, "--sizes: more than %d sizes", EL_BENCH_SIZES);
        EL_TRY(el_strndup(p, length, &item));
        int status = el_parse_i64(item, 1, MOST_SIZE, &size);
        if (status < 0) return el_fail_in(status, "--sizes");
        if (options->size_count && size <= options->sizes[options->size_count - 1])
            return el_fail(EL_EINVAL, "--sizes: each must be larger than the one before, %s is not", item);
        options->sizes[options->size_count++] = size;
        p += length;
        if (!*p) return 0;
    }
}

static int parse_number(const char *flag, const char *value, int64_t min, int64_t max, int64_t *ret_value) {
    int status = el_parse_i64(value, min, max, ret_value);
    return status < 0 ? el_fail_in(status, "--%s", flag) : 0;
}

static int parse_flag(struct wish *wish, const char *flag, const char *value) {
    struct el_bench_options *options = &wish->options;
    if (el_streq(flag, "json")) options->json = true;
    if (el_streq(flag, "tune")) options->tune = true;
    if (el_streq(flag, "compare")) wish->compare = true;
    if (el_streq(flag, "svg")) options->svg = value;
    if (el_streq(flag, "field")) options->field = value;
    if (el_streq(flag, "sizes")) return parse_sizes(value, options);
    if (el_streq(flag, "docs")) return parse_number(flag, value, 1, EL_BENCH_MOST_DOCS, &options->docs);
    if (el_streq(flag, "rounds")) return parse_number(flag, value, 1, EL_BENCH_ROUNDS, &options->rounds);
    if (el_streq(flag, "words")) return parse_number(flag, value, 1, MOST_WORDS, &options->words);
    if (el_streq(flag, "fail-below")) return parse_number(flag, value, 1, 1000, &options->fail_below);
    return 0;
}

static int parse(struct el_args args, struct wish *wish) {
    static const int64_t sizes[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};
    struct el_bench_options *options = &wish->options;
    size_t count = 0;
    while (args.argv[count])
        count++;
    EL_TRY(el_alloc(count + 1, sizeof *options->paths, &options->paths));
    options->rounds = 3;
    options->words = 100;
    memcpy(options->sizes, sizes, sizeof sizes);
    options->size_count = EL_COUNT(sizes);
    for (const char *flag, *value; el_args_next(&args, &flag, &value) > 0;) {
        if (flag)
            EL_TRY(parse_flag(wish, flag, value));
        else
            options->paths[options->path_count++] = value;
    }
    return 0;
}

// Takes "device" or "embed" off the operands, or sees that two results are to be compared.
static int sort_operands(struct wish *wish) {
    struct el_bench_options *options = &wish->options;
    if (wish->compare) {
        if (options->path_count == 2) return 0;
        return el_fail(EL_EINVAL, "--compare takes two results of `bench embed --json`, not %zu",
                       options->path_count);
    }
    wish->what = options->paths[0];
    memmove(options->paths, options->paths + 1, --options->path_count * sizeof *options->paths);
    if (el_streq(wish->what, "embed")) return 0;
    if (!el_streq(wish->what, "device"))
        return el_fail(EL_EINVAL, "\"%s\" can't be measured; say `bench device` or `bench embed`",
                       wish->what);
    if (options->path_count) return el_fail(EL_EINVAL, "`bench device` takes no file: %s", options->paths[0]);
    return 0;
}

static int measure(const struct el_config *config, const struct wish *wish, bool *ret_below) {
    if (wish->compare) return el_bench_compare(&wish->options, ret_below);
    if (el_streq(wish->what, "device")) return el_bench_devices(config, wish->options.json);
    return wish->options.tune ? el_bench_tune(config, &wish->options)
                              : el_bench_embed(config, &wish->options);
}

static int run(struct el_args *args) {
    struct el_config config el_auto(el_config_done) = {0};
    struct wish wish = {0};
    bool below = false;
    int status = parse(*args, &wish);
    if (status == 0) status = sort_operands(&wish);
    if (status == 0) status = el_args_config(args, &config);
    int code = status < 0                            ? el_cmd_usage(args)
               : measure(&config, &wish, &below) < 0 ? el_cmd_failed(args)
               : below                               ? EL_EXIT_FAILED
                                                     : EL_EXIT_DONE;
    el_free(wish.options.paths);
    return code;
}

const struct el_verb el_verb_bench = {
    .name = "bench",
    .operands = "device | embed [FILE...] | --compare A.json B.json",
    .summary = "measure devices, or documents per second by batch size",
    .details =
        "bench device: every device that can be used, or those that --device names: copies from and to\n"
        "pinned memory and on the device (bytes read and written), kernel launches, and the largest rate of\n"
        "matrix products in each precision that the device has.\n"
        "\n"
        "bench embed: documents per second with batches of 1, 2, 4 ... 512 texts, and with those that\n"
        "eleanor makes by itself (\"own\"), beside the targets of requirement 4. Texts are the lines of the\n"
        "FILEs (\"-\" is standard input), else built-in ones.\n"
        "\n"
        "bench --compare: how much faster the second result is than the first; exit status 1 when a batch\n"
        "size is slower than --fail-below allows and the difference is more than noise.",
    .flags =
        (const struct el_flag[]){{"json", 0, NULL, "print a JSON object"},
                                 {"sizes", 0, "N,N...", "texts in a batch to try (default 1,2,4 ... 512)"},
                                 {"docs", 0, "N", "documents of a round (default: half a second's)"},
                                 {"rounds", 0, "N", "rounds of each batch size (default 3)"},
                                 {"words", 0, "N", "length of the built-in texts (default 100)"},
                                 {"field", 0, "NAME", "FILEs are JSON lines with the text in this field"},
                                 {"svg", 0, "FILE", "draw throughput by batch size into this file"},
                                 {"tune", 0, NULL, "find the fastest batch and remember it"},
                                 {"compare", 0, NULL, "compare two results"},
                                 {"fail-below", 0, "PCT", "fail when B is below this percentage of A"},
                                 {0}},
    .settings =
        (const char *const[]){"model", "device", "precision", "threads", "pin", "streams", "max_batch_size",
                              "batch_tokens", "vram_reserved", "log_level", "log_format", NULL},
    .min_operands = 1,
    .max_operands = -1,
    .run = run,
};
