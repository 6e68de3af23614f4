// SPDX-License-Identifier: Apache-2.0
// Our side of `make bench-tokenizer`: text to ids on one thread, on command, so that bench/tokenizer.py can
// take turns with the peer. Reads a command a line: "open" (the tokenizer from its file), "short" (the 2,758
// sentences of sts-test), "long" (172 texts of about 200 tokens), "world" (the lines of WORLD, many scripts),
// "joined" (10 MB as one text), "limit" (looks each byte of "short" up in a table, and no more). Answers with
// a line of JSON each; seconds are of one pass, the mean of enough to fill a fifth of a second.
//
//     bench_tokenizer MODEL_DIR STS_CSV WORLD
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "common/sts.h"
#include "format/tokenizer.h"

enum { MAX_LINES = 4096, JOINED_BYTES = 10 * 1000 * 1000 };
static const uint64_t least_ns = 200 * 1000 * 1000;

struct works {
    const char *model_dir;
    struct el_tokenizer *tokenizer;
    struct el_tokens tokens;
    struct sts sts;
    struct el_str world_file, joined_bytes;
    struct el_text world[MAX_LINES], joined;
    size_t world_count;
};

// One pass; the tokens and bytes of it.
struct pass {
    size_t tokens, bytes;
};

static int encode_all(struct works *w, const struct el_text *texts, size_t count, struct pass *ret_pass) {
    struct pass pass = {0};
    for (size_t i = 0; i < count; i++) {
        EL_TRY(el_tokenizer_encode(w->tokenizer, texts[i].data, texts[i].length, 0, &w->tokens));
        pass.tokens += (size_t)w->tokens.count;
        pass.bytes += texts[i].length;
    }
    *ret_pass = pass;
    return 0;
}

// A sum over a table's values for each byte: what anything that looks at bytes one by one can reach.
static int look_up(struct works *w, const struct el_text *texts, size_t count, struct pass *ret_pass) {
    static uint8_t table[256];
    struct pass pass = {0};
    (void)w;
    for (size_t i = 0; i < sizeof table; i++)
        table[i] = i == ' ';
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < texts[i].length; at++)
            pass.tokens += table[(uint8_t)texts[i].data[at]];
        pass.bytes += texts[i].length;
    }
    *ret_pass = pass;
    return 0;
}

static int reopen(struct works *w, const struct el_text *texts, size_t count, struct pass *ret_pass) {
    struct el_tokenizer *fresh = NULL;
    (void)texts;
    EL_TRY(el_tokenizer_open(w->model_dir, &fresh));
    *ret_pass = (struct pass){.tokens = (size_t)el_tokenizer_vocab_size(fresh), .bytes = count};
    el_tokenizer_close(fresh);
    return 0;
}

typedef int pass_fn(struct works *w, const struct el_text *texts, size_t count, struct pass *ret_pass);

static int measure(struct works *w, pass_fn *fn, const struct el_text *texts, size_t count) {
    struct pass pass;
    uint64_t ns = 0;
    int passes = 0;
    for (const uint64_t began = el_now_ns(); ns < least_ns; ns = el_now_ns() - began, passes++)
        EL_TRY(fn(w, texts, count, &pass));
    printf("{\"seconds\":%.9f,\"texts\":%zu,\"tokens\":%zu,\"bytes\":%zu}\n", (double)ns * 1e-9 / passes,
           count, pass.tokens, pass.bytes);
    return 0;
}

static int answer(struct works *w, const char *command) {
    if (el_streq(command, "short")) return measure(w, encode_all, w->sts.sentence, STS_SENTENCES);
    if (el_streq(command, "long")) return measure(w, encode_all, w->sts.long_text, STS_LONG);
    if (el_streq(command, "world")) return measure(w, encode_all, w->world, w->world_count);
    if (el_streq(command, "joined")) return measure(w, encode_all, &w->joined, 1);
    if (el_streq(command, "limit")) return measure(w, look_up, w->sts.sentence, STS_SENTENCES);
    if (el_streq(command, "open")) return measure(w, reopen, NULL, 0);
    return el_fail(EL_EINVAL, "no command \"%s\": open, short, long, world, joined or limit", command);
}

static int read_world(struct works *w, const char *path) {
    EL_TRY(el_read_file(path, 1 << 24, &w->world_file));
    char *line = w->world_file.data;
    while (*line && w->world_count < MAX_LINES) {
        size_t length = strcspn(line, "\n");
        w->world[w->world_count++] = (struct el_text){.data = line, .length = length};
        line += length + (line[length] == '\n');
    }
    return 0;
}

static int join(struct works *w) {
    for (int i = 0; w->joined_bytes.length < JOINED_BYTES; i = (i + 1) % STS_LONG) {
        EL_TRY(el_str_append(&w->joined_bytes, w->sts.long_text[i].data, w->sts.long_text[i].length));
        EL_TRY(el_str_putc(&w->joined_bytes, ' '));
    }
    w->joined = (struct el_text){.data = w->joined_bytes.data, .length = w->joined_bytes.length};
    return 0;
}

static int run(struct works *w, const char *world) {
    char line[64];
    EL_TRY(read_world(w, world));
    EL_TRY(join(w));
    EL_TRY(el_tokenizer_open(w->model_dir, &w->tokenizer));
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        EL_TRY(answer(w, line));
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv) {
    static struct works works;
    if (argc != 4) {
        fprintf(stderr, "usage: bench_tokenizer MODEL_DIR STS_CSV WORLD\n");
        return 2;
    }
    if (!sts_read(argv[2], &works.sts)) return 1;
    works.model_dir = argv[1];
    int status = run(&works, argv[3]);
    if (status < 0) fprintf(stderr, "bench_tokenizer: %s: %s\n", el_status_text(status), el_error_detail());
    el_tokenizer_close(works.tokenizer);
    el_tokens_done(&works.tokens);
    el_str_done(&works.world_file);
    el_str_done(&works.joined_bytes);
    sts_done(&works.sts);
    return status < 0;
}
