// SPDX-License-Identifier: Apache-2.0
// eleanor's public library. The whole loop:
//
//     struct el_embedder *embedder;
//     if (el_embedder_open("models/all-MiniLM-L6-v2", NULL, &embedder) < 0) fail(el_error_detail());
//     float *vectors = malloc(sizeof(float) * count * el_embedder_dim(embedder));
//     if (el_embed(embedder, texts, count, vectors) < 0) fail(el_error_detail());
//     el_embedder_close(embedder);
//
// Functions return 0 or a negative code of eleanor/status.h. An open embedder may be used by any number of
// threads at once: their texts are coalesced into packed batches.
#ifndef ELEANOR_ELEANOR_H
#define ELEANOR_ELEANOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eleanor/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EL_VERSION "0.1.0"

struct el_embedder;
struct el_manager;

// A zeroed struct means the defaults.
struct el_embedder_options {
    const char *precision; // "auto" (default), "fp32", "tf32", "fp16", "bf16", "int8"
    // "auto" (default), "cpu", "cuda:1", "opencl:0", or several: "cuda:0,cuda:1", "cpu=4". The model is on
    // each of them, and they share the work; one that is lost is done without, and the last is followed by
    // the processor.
    const char *device;
    struct el_manager *manager; // devices that models share (device/manager.h); NULL: those of `device`
    int streams;                // batches in flight on a GPU; 0: 4
    // Told in a sentence of each device that is lost or short of memory, and of a `tuned` that is damaged;
    // from a worker's thread, or from within el_embedder_open; may be NULL.
    void (*notice)(void *context, const char *text);
    void *notice_context;
    int threads; // 0: every processor this process may use
    // A device that was lost for good, or had no room, is tried again: after so many ms (0: 5,000; negative:
    // never), each time after twice as many, up to the longest (0: 300,000); when it was well so many times
    // in a row (0: 3), it gets the model and its share of the work again.
    int rejoin_ms, rejoin_longest_ms, rejoin_probes;
    bool pin;              // pin threads to processors
    int batch_tokens;      // tokens of one packed batch; 0: what `tuned` knows, else a default by the device
    int batch_texts;       // most texts of one packed batch; 0: as many as batch_tokens holds
    const char *tuned;     // file of batch sizes that were measured (service/tuned.h), or NULL
    int64_t vram_reserved; // bytes of a GPU that the default leaves to others; 0: 2 GiB, negative: none
    int batch_wait_us;     // longest time a text may wait for company; 0: none, batches form under load
    int queue_tokens;      // tokens that may wait; 0: unlimited. Beyond it: EL_EBUSY
    int queue_ms; // longest a request may take by what waits and the measured speed; 0: any. Else EL_EBUSY
    int cache_mb; // MiB for vectors of texts seen before, which are not computed again; 0: none
    const char *prompt; // name of the model's prompt to put before each text, or NULL: its default
};

// A text: bytes need not be NUL-terminated and may hold NULs; what is not UTF-8 counts as U+FFFD.
struct el_text {
    const char *data;
    size_t length; // bytes
};

// Opens the model folder at `path` (config.json, model.safetensors, tokenizer). EL_ENOENT, EL_EFORMAT,
// EL_EUNSUPPORTED, EL_ENOMEM, EL_EINVAL (an option).
int el_embedder_open(const char *path, const struct el_embedder_options *options,
                     struct el_embedder **ret_embedder);
void el_embedder_close(struct el_embedder *embedder); // waits for calls in flight

int el_embedder_dim(const struct el_embedder *embedder);        // floats per vector
int el_embedder_max_tokens(const struct el_embedder *embedder); // longer texts are truncated

// texts[count] -> vectors[count][dim], in order. Texts over max_tokens are truncated as sentence-transformers
// does. EL_EBUSY, EL_ENOMEM, EL_ELOST (no device is left), EL_ESHUTDOWN; on failure `vectors` is unspecified.
int el_embed(struct el_embedder *embedder, const struct el_text *texts, size_t count, float *vectors);

#ifdef __cplusplus
}
#endif
#endif
