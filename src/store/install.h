// SPDX-License-Identifier: Apache-2.0
// Putting models into the store and taking them out. Each install is gathered and checked in a stage and then
// appears whole, or not at all. One caller at a time per model; others get EL_EBUSY.
#ifndef EL_STORE_INSTALL_H
#define EL_STORE_INSTALL_H

#include "base/progress.h"
#include "store/store.h"

#define EL_IMPORT_MAX_BYTES ((uint64_t)32 << 30) // what an archive may hold, unless told otherwise
#define EL_IMPORT_MAX_ENTRIES 100000
#define EL_IMPORT_MAX_RATIO 100 // bytes that a byte of an archive may unpack to, in all

// A zeroed struct means the defaults.
struct el_install_options {
    const char *name;             // import: what to call the model; NULL: as the catalog or the folder says
    const char *revision;         // pull: branch, tag or commit; NULL: the catalog's, else "main"
    bool replace;                 // of an installed model of that name
    uint64_t max_bytes;           // import: 0 is EL_IMPORT_MAX_BYTES
    struct el_progress *progress; // open; NULL: none
};

// Fetches `name` (catalog name, alias, or "owner/name" of the hub) from $HF_ENDPOINT, else
// https://huggingface.co. A model that is installed stays as it is, and *ret_fetched is false, unless
// `replace`. EL_ENOENT, EL_ENET (unreachable, or HF_HUB_OFFLINE is set), EL_ECHECKSUM, EL_ETOOBIG (disk),
// EL_EIO, EL_EBUSY. What was fetched before a failure of the network stays in the stage, and the next call
// goes on.
int el_store_pull(const char *name, const struct el_install_options *options,
                  struct el_model_entry *ret_entry, bool *ret_fetched);

// Imports the model in a folder, .zip, .whl, .tar, .tar.gz or .tgz: the folder that holds config.json and
// model.safetensors, at any depth. EL_ENOENT, EL_EFORMAT (damaged, or no model in it), EL_EINVAL (a path that
// climbs out, a link, several models, a bad name), EL_ETOOBIG (a limit above), EL_ECHECKSUM, EL_EIO.
int el_store_import(const char *path, const struct el_install_options *options,
                    struct el_model_entry *ret_entry);

// Removes an installed model, by name, alias or hub repository; *ret_entry says what it was. EL_ENOENT.
int el_store_remove(const char *name, struct el_model_entry *ret_entry);

// Hashes the files of an installed model again and holds them against its record and the catalog.
// EL_ECHECKSUM names the file; EL_ENOENT; EL_EUNSUPPORTED: a folder without record.
int el_store_verify(const char *name, struct el_model_entry *ret_entry);

// The folder of an installed model, by its canonical name with case ignored. EL_ENOENT, without detail.
int el_store_installed(const char *name, char **ret_path);

// What the store knows of the model in `folder`.
int el_store_entry(const char *folder, struct el_model_entry *ret_entry);
void el_store_entry_done(struct el_model_entry *entry);

// The catalog's name or alias that is nearest to `name`; NULL when none is near.
const char *el_store_nearest(const char *name);

#endif
