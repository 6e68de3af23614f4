// SPDX-License-Identifier: Apache-2.0
// API keys: who may call. With none, everyone may.
#ifndef EL_SERVE_KEYS_H
#define EL_SERVE_KEYS_H

#include <stdbool.h>
#include <stddef.h>

struct el_keys {
    char **key; // owned
    size_t count;
};

// The keys of `file` (one a line; blank lines and those that start with # are skipped) and `key`; either may
// be NULL. EL_ENOENT, EL_EINVAL (a file without a key), EL_ENOMEM. Free with el_keys_done, also after a
// failure.
int el_keys_init(struct el_keys *keys, const char *file, const char *key);
void el_keys_done(struct el_keys *keys);

// True when `authorization`, the header's value or NULL, is "Bearer " and one of the keys, or when there are
// no keys. The time it takes says nothing about how near a wrong key was.
bool el_keys_allow(const struct el_keys *keys, const char *authorization);

#endif
