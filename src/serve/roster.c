// SPDX-License-Identifier: Apache-2.0
// The models that are served.
#include "serve/roster.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "serve/device_settings.h"
#include "store/store.h"

static const char default_model[] = "all-MiniLM-L6-v2";

// The last component of a path, for a model that is named by its folder.
static int base_name(const char *path, char **ret_name) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    return el_strndup(path + start, end - start, ret_name);
}

static int find_model(struct el_model *model, const char *given) {
    static const char *const none[] = {NULL};
    model->created = time(NULL);
    model->aliases = none;
    EL_TRY(el_store_find(given, &model->path));
    EL_TRY(el_strdup(given, &model->given));
    if (strcmp(given, model->path) == 0) return base_name(model->path, &model->name);
    EL_TRY(el_store_canonical(given, &model->name));
    model->aliases = el_store_aliases(model->name);
    return 0;
}

int el_roster_init(struct el_roster *roster, const struct el_config *config, struct el_manager *manager) {
    const struct el_string_list *list = &config->model;
    *roster = (struct el_roster){.config = config, .manager = manager};
    size_t count = EL_MAX(list->count, (size_t)1);
    EL_TRY(el_zalloc(count, sizeof *roster->models, &roster->models));
    for (size_t i = 0; i < count; i++) {
        struct el_model *model = &roster->models[roster->count++];
        EL_TRY(find_model(model, list->count ? list->item[i] : default_model));
        if (el_roster_find(roster, model->name) != model)
            return el_fail(EL_EINVAL, "model %s is named twice; name each model to serve once", model->name);
    }
    return 0;
}

void el_roster_done(struct el_roster *roster) {
    if (roster->loading) pthread_join(roster->loader, NULL);
    for (size_t i = 0; i < roster->count; i++) {
        el_embedder_close(roster->models[i].embedder);
        el_free(roster->models[i].name);
        el_free(roster->models[i].given);
        el_free(roster->models[i].path);
    }
    el_free(roster->models);
    *roster = (struct el_roster){0};
}

static void log_move(void *context, const char *text) {
    const struct el_model *model = context;
    el_warn("model %s: %s", model->name, text);
}

static int load(const struct el_roster *roster, struct el_model *model) {
    struct el_embedder_options options;
    char *tuned el_auto_free = NULL;
    el_embedder_settings(roster->config, roster->manager, &tuned, &options);
    options.cache_mb = (int)roster->config->cache_mb;
    options.notice = log_move;
    options.notice_context = model;
    struct el_embedder *embedder;
    struct el_embed_info info;
    uint64_t began = el_now_ns();
    int status = el_embedder_open(model->path, &options, &embedder);
    if (status < 0) return el_fail_in(status, "model %s", model->name);
    el_embedder_info(embedder, &info);
    el_info("model %s: %d dimensions, %s on %s (%s, %d threads), loaded in %" PRIu64 " ms", model->name,
            info.dim, info.precision, info.devices, info.place.ops, info.threads,
            (el_now_ns() - began) / 1000000);
    atomic_store(&model->embedder, embedder);
    return 0;
}

static void *loader_main(void *argument) {
    struct el_roster *roster = argument;
    el_thread_name("el-loader");
    for (size_t i = 0; i < roster->count && roster->status == 0; i++)
        roster->status = load(roster, &roster->models[i]);
    snprintf(roster->detail, sizeof roster->detail, "%s", el_error_detail());
    atomic_store(&roster->through, true);
    roster->notify(roster->context);
    return NULL;
}

int el_roster_load(struct el_roster *roster, void (*notify)(void *context), void *context) {
    roster->notify = notify;
    roster->context = context;
    int error = pthread_create(&roster->loader, NULL, loader_main, roster);
    if (error) return el_fail(EL_ENOMEM, "cannot start the thread that loads models: %s", strerror(error));
    roster->loading = true;
    return 0;
}

bool el_roster_ready(const struct el_roster *roster) {
    return atomic_load(&roster->through) && roster->status == 0;
}

static bool answers_to(const struct el_model *model, const char *name) {
    if (strcasecmp(model->name, name) == 0 || strcasecmp(model->given, name) == 0) return true;
    for (const char *const *alias = model->aliases; *alias; alias++)
        if (strcasecmp(*alias, name) == 0) return true;
    return false;
}

struct el_model *el_roster_find(const struct el_roster *roster, const char *name) {
    for (size_t i = 0; i < roster->count; i++)
        if (!name || answers_to(&roster->models[i], name)) return &roster->models[i];
    return NULL;
}
