// SPDX-License-Identifier: Apache-2.0
// How the verbs of the store (pull, import, models) say what they did to a model.
#ifndef EL_CMD_MODEL_TEXT_H
#define EL_CMD_MODEL_TEXT_H

#include <jansson.h>
#include <stdbool.h>

#include "store/store.h"

// Before writing to the store: a limit on file sizes shall be a write error, not a signal.
void el_model_text_prepare(void);

// "all-MiniLM-L6-v2 imported, verified by the catalog's checksums (91.6 MB)" and its folder, or a JSON
// object. Returns an enum el_exit.
int el_model_text_print(const struct el_model_entry *entry, const char *done, bool json);

// The facts of an installed model; NULL without memory.
json_t *el_model_text_json(const struct el_model_entry *entry);

#endif
