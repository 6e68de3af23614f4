// SPDX-License-Identifier: Apache-2.0
// What the store remembers of a model, in eleanor-model.json beside its files: where it came from, and the
// sum of each file.
#ifndef EL_STORE_RECORD_H
#define EL_STORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/sha256.h"

#define EL_RECORD_FILE "eleanor-model.json"

struct el_record_file {
    char *path; // within the model's folder
    uint64_t size;
    char sha256[EL_SHA256_TEXT];
};

struct el_record {
    char *name;
    char *source;
    char *license; // as its publisher writes it; "" when unknown
    bool verified;
    struct el_record_file *files;
    size_t count;
};

void el_record_done(struct el_record *record);

int el_record_add(struct el_record *record, const char *path, uint64_t size, const char *sha256);
bool el_record_has(const struct el_record *record, const char *path);
uint64_t el_record_bytes(const struct el_record *record);

int el_record_write(const struct el_record *record, const char *folder);
// EL_ENOENT: the folder was not made by the store. EL_EFORMAT.
int el_record_read(const char *folder, struct el_record *ret_record);

#endif
