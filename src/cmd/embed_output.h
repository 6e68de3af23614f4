// SPDX-License-Identifier: Apache-2.0
// Where `eleanor embed` and others put vectors: JSON lines, a NumPy file, or bare little-endian floats. Each
// vector is written as it comes. Rows of whole numbers go into NumPy files too.
#ifndef EL_CMD_EMBED_OUTPUT_H
#define EL_CMD_EMBED_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/str.h"

enum el_vector_format { EL_VECTORS_JSONL, EL_VECTORS_NPY, EL_VECTORS_F32, EL_NUMBERS_NPY };

struct el_vector_sink {
    enum el_vector_format format;
    const char *path; // NULL: standard output; borrowed
    FILE *stream;
    off_t start;    // where the NumPy header stands in the file
    int dim;        // numbers per vector
    uint64_t first; // index of the first vector: of a share, how many the shares before have
    uint64_t count; // vectors written
    struct el_str line;
    bool remove_on_failure;
};

// EL_EIO; EL_EINVAL for binary vectors to a terminal, and for a NumPy file into a pipe: its header needs the
// count, which is known at the end.
int el_vector_sink_open(enum el_vector_format format, const char *path, int dim,
                        struct el_vector_sink *ret_sink);
// vectors[count][dim]. EL_EIO, EL_ENOMEM.
int el_vector_sink_put(struct el_vector_sink *sink, const float *vectors, size_t count);
// The same of EL_NUMBERS_NPY: numbers[count][dim].
int el_vector_sink_put_numbers(struct el_vector_sink *sink, const int64_t *numbers, size_t count);
// Hands out what is buffered. EL_EIO.
int el_vector_sink_flush(struct el_vector_sink *sink);
// Completes the file: only then it is good. EL_EIO.
int el_vector_sink_finish(struct el_vector_sink *sink);
// Frees; a file that el_vector_sink_finish() did not complete is removed.
void el_vector_sink_close(struct el_vector_sink *sink);

#endif
