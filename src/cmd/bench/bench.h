// SPDX-License-Identifier: Apache-2.0
// The parts of `eleanor bench`: each measures or compares, and prints text or one JSON object.
#ifndef EL_CMD_BENCH_BENCH_H
#define EL_CMD_BENCH_BENCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "eleanor/eleanor.h"
#include "service/embed.h"

enum { EL_BENCH_SIZES = 24, EL_BENCH_ROUNDS = 64, EL_BENCH_MOST_DOCS = 1 << 18 };
#define EL_BENCH_ROUND_SECONDS 0.5 // of a round whose number of texts was not given

struct el_bench_options {
    const char **paths; // operands after the first: texts to embed, or results to compare; owned
    size_t path_count;
    const char *field;             // of JSON lines; NULL: the text is the line
    int64_t sizes[EL_BENCH_SIZES]; // texts in a batch, to try one after the other
    size_t size_count;
    int64_t docs;       // of a round; 0: what takes half a second, and at least one batch
    int64_t rounds;     // of each size, 1 to EL_BENCH_ROUNDS
    int64_t words;      // of a built-in text
    const char *svg;    // file for a picture, or NULL
    int64_t fail_below; // percent; 0: comparing never fails
    bool json, tune;
};

int el_bench_devices(const struct el_config *config, bool json);
int el_bench_embed(const struct el_config *config, const struct el_bench_options *options);
int el_bench_tune(const struct el_config *config, const struct el_bench_options *options);
// *ret_below: a batch size of the second result is slower than options->fail_below allows.
int el_bench_compare(const struct el_bench_options *options, bool *ret_below);

// ---- texts: texts.c ----

struct el_bench_texts {
    struct el_text *text; // [count]; owned, as are the bytes
    size_t count;
    char *bytes;
};
// Reads options->paths, or makes `count` texts: requirement 4's ("Document 7: test test ...", options->words
// times "test") or, `varied`, from 1 to twice as many words. EL_EINVAL for files without any text.
int el_bench_texts_open(const struct el_bench_options *options, size_t count, bool varied,
                        struct el_bench_texts *ret_texts);
void el_bench_texts_close(struct el_bench_texts *texts);

// ---- measuring: model.c ----

// A model to be opened again and again, with other batches.
struct el_bench_model {
    char *path, *tuned;
    struct el_manager *manager;
    struct el_embedder_options settings; // as `embed` has them
};
int el_bench_model_open(const struct el_config *config, struct el_bench_model *ret_model);
void el_bench_model_close(struct el_bench_model *model);
// An embedder with these limits of a batch, 0: none.
int el_bench_embedder_open(const struct el_bench_model *model, int64_t batch_texts, int64_t batch_tokens,
                           struct el_embedder **ret_embedder);

// Tokens of a text on average, of the first few hundred.
int el_bench_mean_tokens(struct el_embedder *embedder, const struct el_bench_texts *texts,
                         double *ret_tokens);

// Texts a second, of a few: how long rounds are chosen by.
int el_bench_guess(struct el_embedder *embedder, const struct el_bench_texts *texts, double *ret_rate);

// Embeds `docs` of the texts, the first again after the last: the seconds of each of `rounds`, after a short
// round that does not count. EL_ELOST when the model had to move to another device meanwhile.
int el_bench_time(struct el_embedder *embedder, const struct el_bench_texts *texts, size_t docs,
                  size_t rounds, double *ret_seconds);

// ---- results: result.c ----

// What one batch size came to, from the seconds of its rounds, which are sorted. batch_size 0: eleanor's own.
json_t *el_bench_row(int64_t batch_size, size_t docs, double *seconds, size_t rounds);
// Requirement 4's targets beside what was reached on the device of that name.
json_t *el_bench_targets(const char *device, double docs_per_minute);
// A result as text, as it comes about: its facts, then each row, then what follows from them.
void el_bench_print_head(const json_t *result);
void el_bench_print_row(const json_t *row);
void el_bench_print_tail(const json_t *result);
void el_bench_print_json(const json_t *result);
// Throughput by batch size of `count` results, as a picture. EL_EIO.
int el_bench_draw(const json_t *const *results, const char *const *names, size_t count, const char *path);

#endif
