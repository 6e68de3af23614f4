// SPDX-License-Identifier: Apache-2.0
// The folder of an index: what lies in it, its making, its lock and its removal.
#ifndef EL_INDEX_FOLDER_H
#define EL_INDEX_FOLDER_H

#include <stdint.h>

#define EL_INDEX_DOCUMENTS "documents.db"

// FOLDER/vectors.GENERATION as a new string.
int el_index_vector_path(const char *folder, int64_t generation, char **ret_path);

// FOLDER/ivf.GENERATION, the inverted lists of that vector file, as a new string.
int el_index_ivf_path(const char *folder, int64_t generation, char **ret_path);

// Makes a folder that `fill` fills; it appears whole or not at all. EL_EINVAL (there is one), EL_EIO,
// EL_ENOMEM.
int el_index_folder_make(const char *folder, int (*fill)(const char *folder, const void *context),
                         const void *context);
// Removes a folder with its files. EL_EBUSY: someone writes there; EL_EIO.
int el_index_folder_remove(const char *folder);

// The URL of a store that keeps an index elsewhere, as a file in its folder; it is a new string, or NULL: the
// index is here. EL_EIO, EL_ENOMEM.
int el_index_write_url(const char *folder, const char *url);
int el_index_read_url(const char *folder, char **ret_url);

// 0 when there is nothing: EL_EINVAL.
int el_index_check_absent(const char *folder);
// 0 when there is an index: EL_ENOENT, EL_EFORMAT.
int el_index_check(const char *folder);
// Takes the folder for the one that may write, until *ret_lock is closed. EL_EBUSY, EL_EIO.
int el_index_lock(const char *folder, int *ret_lock);
// Removes vector files and lists that a crash has left: all but those of `generation`.
void el_index_sweep(const char *folder, int64_t generation);
// Bytes of all files.
int el_index_folder_bytes(const char *folder, uint64_t *ret_bytes);

#endif
