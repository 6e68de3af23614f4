// SPDX-License-Identifier: Apache-2.0
// Our side of `make bench-embed`: embeds the sentences of sts-test on command, so that bench/embed.py can
// take turns with the peers. Reads a command a line: "short" (2,758 sentences), "long" (172 texts of about
// 200 tokens), "one" (one text of 16 tokens, many times). Answers with a line of JSON each.
//
//     bench_embed MODEL_DIR STS_CSV PRECISION [THREADS]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sort.h"
#include "base/thread.h"
#include "common/sts.h"
#include "service/embed.h"

enum { ONE_ROUNDS = 200 };

static const struct el_text one_text = {.data = "A man with a hard hat is dancing on the roof of a house.",
                                        .length = 56};

static int64_t count_tokens(struct el_embedder *embedder, const struct el_text *texts, size_t count) {
    int64_t sum = 0, tokens = 0;
    for (size_t i = 0; i < count; i++)
        if (el_embedder_count_tokens(embedder, &texts[i], &tokens) == 0)
            sum += EL_MIN(tokens, el_embedder_max_tokens(embedder));
    return sum;
}

static int bulk(struct el_embedder *embedder, const struct el_text *texts, size_t count) {
    el_auto_free float *vectors = NULL;
    EL_TRY(el_alloc(count, (size_t)el_embedder_dim(embedder) * sizeof *vectors, &vectors));
    const uint64_t began = el_now_ns();
    EL_TRY(el_embed(embedder, texts, count, vectors));
    const double seconds = (double)(el_now_ns() - began) * 1e-9;
    printf("{\"seconds\":%.6f,\"texts\":%zu,\"tokens\":%lld}\n", seconds, count,
           (long long)count_tokens(embedder, texts, count));
    return 0;
}

static int one(struct el_embedder *embedder) {
    double seconds[ONE_ROUNDS];
    el_auto_free float *vector = NULL;
    EL_TRY(el_alloc((size_t)el_embedder_dim(embedder), sizeof *vector, &vector));
    for (int i = 0; i < ONE_ROUNDS; i++) {
        const uint64_t began = el_now_ns();
        EL_TRY(el_embed(embedder, &one_text, 1, vector));
        seconds[i] = (double)(el_now_ns() - began) * 1e-9;
    }
    el_sort_f64(seconds, ONE_ROUNDS);
    printf("{\"seconds\":%.6f,\"best\":%.6f,\"p99\":%.6f,\"texts\":1,\"tokens\":%lld}\n",
           seconds[ONE_ROUNDS / 2], seconds[0], seconds[ONE_ROUNDS * 99 / 100],
           (long long)count_tokens(embedder, &one_text, 1));
    return 0;
}

// Peak resident memory of this process in kB, or 0.
static long peak_kb(void) {
    char line[256];
    long kb = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (el_starts_with(line, "VmHWM:")) kb = strtol(line + 6, NULL, 10);
    if (file) fclose(file);
    return kb;
}

static int answer(struct el_embedder *embedder, const struct sts *sts, const char *command) {
    if (el_streq(command, "short")) return bulk(embedder, sts->sentence, STS_SENTENCES);
    if (el_streq(command, "long")) return bulk(embedder, sts->long_text, STS_LONG);
    if (el_streq(command, "one")) return one(embedder);
    if (el_streq(command, "memory")) {
        struct el_embed_info info;
        el_embedder_info(embedder, &info);
        printf("{\"peak_kb\":%ld,\"weight_kb\":%llu,\"simd\":\"%s\",\"precision\":\"%s\",\"threads\":%d}\n",
               peak_kb(), (unsigned long long)info.weight_bytes / 1024, info.place.ops, info.precision,
               info.threads);
        return 0;
    }
    return el_fail(EL_EINVAL, "no command \"%s\": short, long, one or memory", command);
}

static int run(int argc, char **argv, struct sts *sts) {
    struct el_embedder_options options = {.precision = argv[3]};
    struct el_embedder *embedder = NULL;
    char line[64];
    if (argc > 4) {
        int64_t threads;
        EL_TRY(el_parse_i64(argv[4], 0, 1024, &threads));
        options.threads = (int)threads;
    }
    if (argc > 5) { // for tuning
        int64_t tokens;
        EL_TRY(el_parse_i64(argv[5], 0, 1 << 20, &tokens));
        options.batch_tokens = (int)tokens;
    }
    EL_TRY(el_embedder_open(argv[1], &options, &embedder));
    int status = 0;
    while (status == 0 && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        status = answer(embedder, sts, line);
        fflush(stdout);
    }
    el_embedder_close(embedder);
    return status;
}

int main(int argc, char **argv) {
    static struct sts sts;
    if (argc < 4 || argc > 6) {
        fprintf(stderr, "usage: bench_embed MODEL_DIR STS_CSV PRECISION [THREADS [BATCH_TOKENS]]\n");
        return 2;
    }
    if (!sts_read(argv[2], &sts)) return 1;
    int status = run(argc, argv, &sts);
    if (status < 0) fprintf(stderr, "bench_embed: %s: %s\n", el_status_text(status), el_error_detail());
    sts_done(&sts);
    return status < 0;
}
