// SPDX-License-Identifier: Apache-2.0
// The model store: folders of models that `pull` and `import` put under $ELEANOR_HOME/models (else
// $XDG_DATA_HOME/eleanor/models, else ~/.local/share/eleanor/models), each checked against the catalog.
#ifndef EL_STORE_STORE_H
#define EL_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The root as above, as a new string. EL_ENOENT when no variable gives one; EL_ENOMEM.
int el_store_root(char **ret_root);
// The path of a file beside that folder: $ELEANOR_HOME/NAME. The same codes.
int el_store_beside(const char *name, char **ret_path);

struct el_model_entry {
    char *name;   // "all-MiniLM-L6-v2"
    char *path;   // folder
    char *source; // "hub:sentence-transformers/all-MiniLM-L6-v2@main", "import:/path/x.whl"
    char *license;
    uint64_t bytes; // of all files
    bool verified;  // every file's sha256 known to the catalog holds
};

// The installed models, by name. Free with el_store_list_done.
int el_store_list(struct el_model_entry **ret_entries, size_t *ret_count);
void el_store_list_done(struct el_model_entry *entries, size_t count);

// The folder of a model by name, alias or hub id (by the catalog, case ignored), or `name` itself when it is
// a path to a folder with a config.json. EL_ENOENT says `eleanor pull NAME` and names near ones.
int el_store_find(const char *name, char **ret_path);
// The canonical name that a name, alias or hub id stands for, as a new string; unknown ones stay as they are.
int el_store_canonical(const char *name, char **ret_name);
// The aliases of a canonical name: NULL-terminated, static.
const char *const *el_store_aliases(const char *name);

#endif
