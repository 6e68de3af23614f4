// SPDX-License-Identifier: Apache-2.0
// A vector file: rows of floats that are searched where they lie, mapped from the disk, [count][dim]; beside
// it, as PATH.log, the journal of what was committed. The whole loop:
//
//     el_vector_file_create("v", &facts, &file);           // or el_vector_file_open("v", true, &file)
//     el_vector_file_append(file, rows, 100);              // 0: they survive whatever comes
//     search(el_vector_file_rows(file), el_vector_file_count(file));
//     el_vector_file_close(file);
//
// Rows are written and synced before the record that commits them, so after a crash the file holds every row
// whose append returned and nothing torn. One handle may write at a time, which the caller sees to; any
// number may read, in this process or another. A handle belongs to one thread at a time.
#ifndef EL_VECTORS_FILE_H
#define EL_VECTORS_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "vectors/exact.h"

enum { EL_VECTOR_MODEL_SIZE = 256, EL_VECTOR_MAX_DIM = 65536 };

// How rows are searched: all of them, or those of some inverted lists (ivf.h) once there are many.
enum el_index_kind { EL_INDEX_FLAT, EL_INDEX_IVF };

struct el_vector_facts {
    int dim; // 1 .. EL_VECTOR_MAX_DIM
    enum el_metric metric;
    enum el_index_kind kind;
    float recall; // of ivf: the share of true neighbours wanted, 0 .. 1; 0: what its user takes
    char model[EL_VECTOR_MODEL_SIZE]; // that made the vectors; "": not told
};

struct el_vector_file;

// Writes an empty file, over one that may be there. EL_EINVAL, EL_EIO, EL_ENOMEM.
int el_vector_file_create(const char *path, const struct el_vector_facts *facts,
                          struct el_vector_file **ret_file);
// Reads the journal and checks the rows that were committed last. EL_ENOENT, EL_EIO, EL_EFORMAT (it is
// something else), EL_ECHECKSUM (damage: file and offset), EL_EUNSUPPORTED (a newer version), EL_ENOMEM.
int el_vector_file_open(const char *path, bool writable, struct el_vector_file **ret_file);
void el_vector_file_close(struct el_vector_file *file);

const struct el_vector_facts *el_vector_file_facts(const struct el_vector_file *file);
uint64_t el_vector_file_id(const struct el_vector_file *file); // drawn when it was made
int64_t el_vector_file_count(const struct el_vector_file *file);
// [count][dim]; good until the next append, refresh or close.
const float *el_vector_file_rows(const struct el_vector_file *file);

// Adds rows [count][dim] behind the last: all of them or, on failure, none. EL_EIO, EL_ENOMEM.
int el_vector_file_append(struct el_vector_file *file, const float *rows, int64_t count);
// Gives up the rows from `count` on: those of appends that nobody was told of. `count` is a number of rows
// that the file had after one of its appends. EL_EINVAL, EL_EIO.
int el_vector_file_rollback(struct el_vector_file *file, int64_t count);
// For readers: sees what was committed since. The codes of el_vector_file_open.
int el_vector_file_refresh(struct el_vector_file *file);
// Holds every row against its sum. EL_ECHECKSUM names the first segment that is damaged; EL_EIO, EL_ENOMEM.
int el_vector_file_verify(const struct el_vector_file *file);

#endif
