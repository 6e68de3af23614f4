// SPDX-License-Identifier: Apache-2.0
// The catalog (catalog.def, compiled in): names, aliases, hub repositories, licences, and the sums that the
// files of a model must have wherever they come from.
#ifndef EL_STORE_CATALOG_H
#define EL_STORE_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct el_catalog_model {
    const char *name;
    const char *hub; // "owner/name"
    const char *revision;
    const char *license;
    const char *const *aliases; // up to a NULL; the first is `hub`
};

// A file that a model may have; the rows of one path stand beside each other.
struct el_catalog_file {
    const char *model;
    bool required;
    const char *path; // within the model's folder
    uint64_t size;    // bytes
    const char *sha256;
};

extern const struct el_catalog_model el_catalog[];
extern const size_t el_catalog_count;

// By name, alias or hub repository, case ignored; NULL when unknown.
const struct el_catalog_model *el_catalog_find(const char *name);
// The model whose model.safetensors has this sum; NULL when unknown.
const struct el_catalog_model *el_catalog_find_weights(const char *sha256);

// The index-th row of the model's files, or NULL past the last: NULL at 0 means that no sums are known.
const struct el_catalog_file *el_catalog_file(const struct el_catalog_model *model, size_t index);
// True when the model has a row for `path`.
bool el_catalog_lists(const struct el_catalog_model *model, const char *path);

// Holds one file against its rows. EL_ECHECKSUM names the file, what was expected and what is there;
// EL_EINVAL: the catalog does not list it.
int el_catalog_check(const struct el_catalog_model *model, const char *path, uint64_t size,
                     const char *sha256);

#endif
