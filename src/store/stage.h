// SPDX-License-Identifier: Apache-2.0
// Staging: a model is gathered in a folder beside the installed ones (models/.staging/KEY), checked there,
// and becomes a model by one rename. A stage is locked by who has it open; what a killed program leaves is
// found and used again (pull) or swept away (import).
#ifndef EL_STORE_STAGE_H
#define EL_STORE_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/catalog.h"
#include "store/record.h"

struct el_stage {
    char *root;              // of the store
    char *path;              // the stage's folder
    int lock;                // its descriptor, flock()ed; -1: closed
    struct el_record record; // files that are complete
};

// The stage for what `origin` says ("hub:owner/name@revision"), with the files an earlier try left there;
// those of another origin are removed. EL_EBUSY: another program installs the same model now.
int el_stage_resume(const char *key, const char *origin, struct el_stage *ret_stage);
// A new, empty stage. Removes stages that killed programs left.
int el_stage_open(struct el_stage *ret_stage);
void el_stage_close(struct el_stage *stage);   // keeps the folder
void el_stage_discard(struct el_stage *stage); // removes it

// Where to write `relative` (checked by el_path_check), whose folder is made.
int el_stage_file(const struct el_stage *stage, const char *relative, char **ret_path);

// Holds the complete files against the catalog (NULL: a model that it does not know) and sets
// record.verified; files that the catalog does not list are taken from the record of a model with known sums.
// EL_ECHECKSUM, EL_EFORMAT (a file that must be there is not, or weights without known sums are cut off).
int el_stage_check(struct el_stage *stage, const struct el_catalog_model *model);

// The licence that the front matter of the stage's README.md names, as a new string; "" when there is none.
int el_stage_read_license(const struct el_stage *stage, char **ret_license);

// Makes the stage the model `name`: files that are not in the record are dropped, the rest is brought to the
// disk, then renamed. EL_EINVAL when the model is there and `replace` is not set. Closes the stage.
int el_stage_commit(struct el_stage *stage, bool replace);

// Moves an installed model's folder into a stage, from where el_stage_discard removes it. EL_EIO.
int el_stage_take(const char *folder, struct el_stage *ret_stage);

// The folder where `name` is or would be installed.
int el_stage_target(const char *root, const char *name, char **ret_path);

#endif
