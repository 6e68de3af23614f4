// SPDX-License-Identifier: Apache-2.0
// SHA-256 (by nettle), as bytes come and as the 64 hexadecimal digits that catalogs and hubs write.
#ifndef EL_STORE_SHA256_H
#define EL_STORE_SHA256_H

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EL_SHA256_TEXT 65 // bytes: 64 lower-case digits and the NUL

struct el_sha256 {
    struct sha256_ctx context;
};

void el_sha256_init(struct el_sha256 *sha);
void el_sha256_update(struct el_sha256 *sha, const void *bytes, size_t length);
void el_sha256_text(struct el_sha256 *sha, char ret_text[EL_SHA256_TEXT]); // ends the sum

// Hashes the file at `path`. EL_ENOENT, EL_EIO.
int el_sha256_file(const char *path, uint64_t *ret_size, char ret_text[EL_SHA256_TEXT]);

// Takes over what stands for a sum somewhere else, in lower case; "" for what is none.
void el_sha256_copy(const char *text, char ret_text[EL_SHA256_TEXT]);

// True for 64 hexadecimal digits: what a hub calls a file may as well be a git hash or an opaque tag.
bool el_sha256_is_text(const char *text);

#endif
