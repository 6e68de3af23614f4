// SPDX-License-Identifier: Apache-2.0
// Names that come from outside (models, files of hubs and archives) and what they may be.
#ifndef EL_STORE_NAMES_H
#define EL_STORE_NAMES_H

#include <stdbool.h>

// A model's name: "name" or "owner/name", of letters, digits, '.', '_' and '-', as hubs have them. EL_EINVAL.
int el_model_name_check(const char *name);

// The folder of the store for a name ("/" becomes "--", which no name holds), as a new string.
int el_model_folder_name(const char *name, char **ret_folder);

// A path that stays below where it is put: relative, without "..", backslashes or control characters.
// EL_EINVAL quotes the path and says what is wrong.
int el_path_check(const char *path);

// True for a file that embedding with a model may need, or that says its licence; `path` is relative to the
// model's folder: "config.json", "1_Pooling/config.json".
bool el_model_file_is_needed(const char *path);

#endif
