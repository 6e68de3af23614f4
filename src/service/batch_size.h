// SPDX-License-Identifier: Apache-2.0
// How large a batch should be: the documents' formula says where to start (requirement 4, "Dynamic Batch
// Sizing"), measuring says where to end (its find_optimal_batch_size). docs/bench.md has both.
#ifndef EL_SERVICE_BATCH_SIZE_H
#define EL_SERVICE_BATCH_SIZE_H

#include <stdbool.h>
#include <stdint.h>

enum { EL_BATCH_LEAST = 8, EL_BATCH_MOST = 512 }; // texts; what the formula is clamped to
#define EL_BATCH_RESERVED (2ull << 30)            // bytes: cuda_vram_reserved_gb where nobody set it

// Texts in flight on a GPU: (memory - reserved) in GiB times 128, 64 or 32 texts, for models of less than
// 100 million parameters, of up to 500 million, and larger ones.
int el_batch_size(int64_t parameters, uint64_t memory, uint64_t reserved);

// Tokens of one packed batch, so that the batches of all streams together hold `texts` texts as long as the
// model takes them, or of EL_BATCH_TEXT_TOKENS tokens where it takes longer ones.
enum { EL_BATCH_TEXT_TOKENS = 256 };
int64_t el_batch_size_tokens(int texts, int max_tokens, int streams);

// What a batch's size is chosen from.
struct el_batch_facts {
    int64_t tokens; // as the user wants it; 0: not said
    int texts;      // the same in texts
    int64_t tuned;  // tokens that were the fastest when it was measured; 0: never
    bool on_host;
    int64_t parameters;        // of the model
    uint64_t memory, reserved; // bytes: that may be taken of the device, and left to others
    int max_tokens, streams;
};
struct el_batch_choice {
    int64_t tokens;     // of one packed batch
    int texts;          // of the model's length, in all streams together: the documents' batch size
    const char *source; // "set", "tuned", "formula" or "default" (on the processor, which has no formula)
};
// What the user wants holds; else what was measured; else the formula.
void el_batch_choose(const struct el_batch_facts *facts, struct el_batch_choice *ret_choice);

// ---- tuning ----

// What a batch size came to when it was tried.
struct el_batch_trial {
    double rate;   // texts per second
    double memory; // the share of the device's memory that was in use, 0 to 1
};
// Measures one size. EL_ENOMEM: it is too large; any other failure ends the tuning.
typedef int el_batch_trial_fn(void *context, int64_t size, struct el_batch_trial *ret_trial);

struct el_batch_tuning {
    int64_t start, least, most; // in whatever unit `try` takes
    el_batch_trial_fn *try;
    void *context;
};
// Halves `start` until it fits into 85 % of the memory; then doubles while that makes it faster by more than
// 3 %, and where it does not, halves while that does. EL_ENOMEM: not even `least` fits.
int el_batch_tune(const struct el_batch_tuning *tuning, int64_t *ret_best, struct el_batch_trial *ret_trial);

#endif
