// SPDX-License-Identifier: Apache-2.0
// A model, opened on the devices that the settings choose.
#ifndef EL_CMD_MODEL_H
#define EL_CMD_MODEL_H

#include "config/config.h"
#include "device/manager/manager.h"
#include "service/embed.h"

struct el_cmd_model {
    struct el_trace *trace;
    struct el_manager *manager;
    struct el_embedder *embedder; // with a queue that has no limits
};

// `name` as el_store_find takes it; `prompt` is the default of its texts, or NULL. Zero *model before;
// close it after a failure too.
int el_cmd_model_open(const struct el_config *config, const char *name, const char *prompt,
                      struct el_cmd_model *model);
void el_cmd_model_close(struct el_cmd_model *model);

#endif
