// SPDX-License-Identifier: Apache-2.0
// The formula for a batch's size, and the search for the fastest.
#include "service/batch_size.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/mem.h"

// SAMPLES_PER_GB_SMALL, _BASE and _LARGE of requirement 4.
static const struct {
    int64_t parameters; // at most
    int texts_per_gb;
} rows[] = {{99999999, 128}, {500000000, 64}, {INT64_MAX, 32}};

int el_batch_size(int64_t parameters, uint64_t memory, uint64_t reserved) {
    size_t row = 0;
    while (parameters > rows[row].parameters)
        row++;
    const double gb = memory > reserved ? (double)(memory - reserved) * 0x1p-30 : 0;
    const double texts = gb * rows[row].texts_per_gb;
    return texts >= EL_BATCH_MOST ? EL_BATCH_MOST : EL_MAX((int)texts, EL_BATCH_LEAST);
}

static int64_t text_tokens(int max_tokens) {
    return EL_MIN(max_tokens, EL_BATCH_TEXT_TOKENS);
}

int64_t el_batch_size_tokens(int texts, int max_tokens, int streams) {
    const int64_t one = text_tokens(max_tokens);
    return EL_MAX(texts * one / streams, one);
}

// Activations of so many tokens stay in a core's L2; the fastest measured of 64 to 512 (docs/engine.md).
enum { HOST_TOKENS = 128 };

void el_batch_choose(const struct el_batch_facts *facts, struct el_batch_choice *ret_choice) {
    const int64_t one = text_tokens(facts->max_tokens);
    const int streams = facts->on_host ? 1 : facts->streams; // each of the processor's threads has a batch
    struct el_batch_choice choice;
    if (facts->tokens > 0)
        choice = (struct el_batch_choice){.tokens = facts->tokens, .source = "set"};
    else if (facts->texts > 0 && !facts->on_host)
        choice = (struct el_batch_choice){.tokens = facts->texts * one, .source = "set"};
    else if (facts->tuned > 0)
        choice = (struct el_batch_choice){.tokens = facts->tuned, .source = "tuned"};
    else if (facts->on_host)
        choice = (struct el_batch_choice){.tokens = HOST_TOKENS, .source = "default"};
    else
        choice = (struct el_batch_choice){
            .tokens = el_batch_size_tokens(el_batch_size(facts->parameters, facts->memory, facts->reserved),
                                           facts->max_tokens, streams),
            .source = "formula"};
    choice.texts = facts->texts > 0 ? facts->texts : (int)EL_MAX(choice.tokens * streams / one, 1);
    *ret_choice = choice;
}

// ---- tuning ----

#define MEMORY_LIMIT 0.85
#define WORTH 1.03 // less is noise

// *ret_fits false: the size takes too much memory.
static int try_size(const struct el_batch_tuning *tuning, int64_t size, struct el_batch_trial *ret_trial,
                    bool *ret_fits) {
    const int status = tuning->try(tuning->context, size, ret_trial);
    if (status < 0 && status != EL_ENOMEM) return status;
    *ret_fits = status == 0 && ret_trial->memory <= MEMORY_LIMIT;
    return 0;
}

// Doubles or halves *best while that is worth it.
static int climb(const struct el_batch_tuning *tuning, bool up, int64_t *best,
                 struct el_batch_trial *best_trial) {
    for (;;) {
        const int64_t size = up ? *best * 2 : *best / 2;
        struct el_batch_trial trial;
        bool fits;
        if (size < tuning->least || size > tuning->most) return 0;
        EL_TRY(try_size(tuning, size, &trial, &fits));
        if (!fits || trial.rate < best_trial->rate * WORTH) return 0;
        *best = size;
        *best_trial = trial;
    }
}

int el_batch_tune(const struct el_batch_tuning *tuning, int64_t *ret_best, struct el_batch_trial *ret_trial) {
    int64_t best = tuning->start;
    struct el_batch_trial trial;
    bool fits;
    EL_TRY(try_size(tuning, best, &trial, &fits));
    const bool fits_at_once = fits;
    while (!fits) {
        best /= 2;
        if (best < tuning->least)
            return el_fail(EL_ENOMEM, "a batch of %" PRId64 " does not fit into 85 %% of the memory",
                           best * 2);
        EL_TRY(try_size(tuning, best, &trial, &fits));
    }
    const int64_t first = best;
    if (fits_at_once) EL_TRY(climb(tuning, true, &best, &trial));
    if (best == first) EL_TRY(climb(tuning, false, &best, &trial));
    *ret_best = best;
    *ret_trial = trial;
    return 0;
}
