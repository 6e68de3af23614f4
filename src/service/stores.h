// SPDX-License-Identifier: Apache-2.0
// Which store keeps an index: the one that its URL names, else the embedded one.
#ifndef EL_SERVICE_STORES_H
#define EL_SERVICE_STORES_H

#include "index/store.h"

// EL_EINVAL: no store takes such a URL. NULL: the embedded store.
int el_stores_choose(const char *url, const struct el_index_store **ret_store);
// Of the index in a folder, with its URL as a new string, or NULL. EL_ENOENT, EL_EIO, EL_ENOMEM, EL_EINVAL.
int el_stores_find(const char *folder, const struct el_index_store **ret_store, char **ret_url);

#endif
