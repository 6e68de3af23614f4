// SPDX-License-Identifier: Apache-2.0
// Opens the model of a verb; where it moves to is logged.
#include "cmd/model.h"

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "device/trace.h"
#include "serve/device_settings.h"
#include "store/store.h"

static void warn(void *context, const char *text) {
    (void)context;
    el_warn("%s", text);
}

int el_cmd_model_open(const struct el_config *config, const char *name, const char *prompt,
                      struct el_cmd_model *model) {
    char *path el_auto_free = NULL;
    char *tuned el_auto_free = NULL;
    struct el_embedder_options options;
    EL_TRY(el_store_find(name, &path));
    EL_TRY(el_devices_open(config, &model->trace, &model->manager));
    el_embedder_settings(config, model->manager, &tuned, &options);
    options.notice = warn;
    options.prompt = prompt;
    options.queue_tokens = options.queue_ms = 0;
    return el_embedder_open(path, &options, &model->embedder);
}

void el_cmd_model_close(struct el_cmd_model *model) {
    el_embedder_close(model->embedder);
    el_manager_close(model->manager);
    el_trace_close(model->trace);
    *model = (struct el_cmd_model){0};
}
