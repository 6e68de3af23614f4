// SPDX-License-Identifier: Apache-2.0
// The files of something that may hold a model (a folder, an archive, a hub's repository), and which of them
// the model is.
#ifndef EL_STORE_LISTING_H
#define EL_STORE_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct el_listed {
    char *path;
    uint64_t size; // bytes, 0 when not known
};

struct el_listing {
    struct el_listed *files;
    size_t count;
    size_t capacity;
};

void el_listing_done(struct el_listing *listing);
int el_listing_add(struct el_listing *listing, const char *path, uint64_t size);
void el_listing_sort(struct el_listing *listing); // by path

// The folder of the one model in a sorted listing, as a new string: "" or "some/folder/". Of several the one
// nearest to the top. EL_EFORMAT: none, and what is missing; EL_EINVAL: several, and which.
int el_listing_find_model(const struct el_listing *listing, const char *what, char **ret_folder);

// `path` as seen from the model's folder when it is a file that the model needs, else NULL.
const char *el_listing_needed(const char *folder, const char *path);
// Bytes of those.
uint64_t el_listing_needed_bytes(const struct el_listing *listing, const char *folder);

#endif
