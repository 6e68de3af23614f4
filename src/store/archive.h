// SPDX-License-Identifier: Apache-2.0
// Reading archives that strangers made (.zip, .whl, .tar, .tar.gz; by libarchive): entry by entry, each
// checked before anyone sees it. An archive is refused as a whole for an entry whose path climbs out, for a
// link or a device, and for unpacking to more than the limits of install.h.
#ifndef EL_STORE_ARCHIVE_H
#define EL_STORE_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

struct el_archive;

// EL_ENOENT, EL_EFORMAT (no archive of these kinds, or a truncated one), EL_EIO, EL_ENOMEM.
int el_archive_open(const char *path, uint64_t max_bytes, struct el_archive **ret_archive);
void el_archive_close(struct el_archive *archive);

// The next regular file: 1 with its path (valid until the next call, without "./") and its size as the
// archive states it; 0 at the end. EL_EFORMAT, EL_EINVAL, EL_ETOOBIG name archive and entry.
int el_archive_next(struct el_archive *archive, const char **ret_path, uint64_t *ret_size);

// Some bytes of that file into `bytes`: *ret_length 0 at its end. EL_EFORMAT (damaged), EL_ETOOBIG.
int el_archive_read(struct el_archive *archive, void *bytes, size_t capacity, size_t *ret_length);

#endif
