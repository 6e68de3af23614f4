// SPDX-License-Identifier: Apache-2.0
// A BERT of a few kilobytes with random weights, written to a temporary folder: for tests that need a model
// but not its meaning.
#ifndef EL_TESTS_TINY_MODEL_H
#define EL_TESTS_TINY_MODEL_H

#include "ops/tensor.h"

enum { TINY_HIDDEN = 64, TINY_HEADS = 2, TINY_LAYERS = 2, TINY_INTERMEDIATE = 96, TINY_POSITIONS = 48 };

// Makes the folder and fills it; `dtype` is what the weights are stored as (EL_F32, EL_F16, EL_BF16). The
// path is to be given to tiny_model_remove. Aborts the test when the disk says no.
char *tiny_model_write(enum el_dtype dtype);
void tiny_model_remove(char *path);

// Replaces one file of the folder.
void tiny_model_put(const char *path, const char *file, const void *bytes, size_t size);

// Where the real all-MiniLM-L6-v2 lies: ELEANOR_TEST_MODEL, else the default store; NULL, with a line that
// says so, when it is not there.
const char *real_model_path(void);

#endif
