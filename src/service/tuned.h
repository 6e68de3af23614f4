// SPDX-License-Identifier: Apache-2.0
// The file of batch sizes that were measured to be the fastest, each for a model, a device with its driver,
// and a precision: what `eleanor bench embed --tune` found and every later start takes.
#ifndef EL_SERVICE_TUNED_H
#define EL_SERVICE_TUNED_H

#include <stddef.h>
#include <stdint.h>

#define EL_TUNED_FILE "tuned.json" // its usual name, beside the models

struct el_tuned_key {
    const char *model;                       // its folder
    const char *device, *driver, *precision; // names: "NVIDIA A100-SXM4-40GB", "CUDA 12.8", "fp16"
};

// The tokens of a batch that the file at `path` holds for the key. EL_ENOENT: there is no file or it does not
// have the key; EL_EFORMAT: it is damaged, and the detail says how. EL_EIO, EL_ENOMEM.
int el_tuned_read(const char *path, const struct el_tuned_key *key, int64_t *ret_tokens);
// The same from memory; `what` names it in errors.
int el_tuned_parse(const char *what, const char *text, size_t length, const struct el_tuned_key *key,
                   int64_t *ret_tokens);

// Puts the key's tokens, and the rate they came to, into the file, which appears whole or stays as it was; a
// damaged file is replaced. Two at once: the last one's entry holds. EL_EIO, EL_ENOMEM.
int el_tuned_write(const char *path, const struct el_tuned_key *key, int64_t tokens, double texts_per_second);

#endif
