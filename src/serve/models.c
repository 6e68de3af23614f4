// SPDX-License-Identifier: Apache-2.0
// What is served and how it is: /v1/models, /health, /livez, /readyz.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "serve/exchange.h"
#include "serve/handlers.h"
#include "serve/server.h"

// Makes the reply, or its fault when `status` says that there was no memory for it.
static void reply_json(struct el_exchange *exchange, int http_status, int status) {
    exchange->reply.status = http_status;
    exchange->reply.media_type = EL_MEDIA_JSON;
    if (status < 0) el_fault_from_status(&exchange->fault, status, NULL);
}

static int put_member(struct el_str *str, const char *name, const char *value) {
    EL_TRY(el_str_printf(str, "\"%s\":", name));
    return el_str_put_json(str, value, strlen(value));
}

// ---- /v1/models ----

static int put_aliases(struct el_str *str, const struct el_model *model) {
    EL_TRY(el_str_puts(str, ",\"aliases\":["));
    for (const char *const *alias = model->aliases; *alias; alias++) {
        if (alias != model->aliases) EL_TRY(el_str_putc(str, ','));
        EL_TRY(el_str_put_json(str, *alias, strlen(*alias)));
    }
    return el_str_putc(str, ']');
}

static int put_model(struct el_str *str, const struct el_model *model) {
    struct el_embedder *embedder = atomic_load(&model->embedder);
    EL_TRY(el_str_putc(str, '{'));
    EL_TRY(put_member(str, "id", model->name));
    EL_TRY(el_str_printf(str, ",\"object\":\"model\",\"created\":%" PRId64 ",\"owned_by\":\"eleanor\"",
                         model->created));
    EL_TRY(put_aliases(str, model));
    if (embedder)
        EL_TRY(el_str_printf(str, ",\"dimensions\":%d,\"max_input_tokens\":%d", el_embedder_dim(embedder),
                             el_embedder_max_tokens(embedder)));
    return el_str_putc(str, '}');
}

static int put_models(struct el_str *str, const struct el_roster *roster) {
    EL_TRY(el_str_puts(str, "{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < roster->count; i++) {
        if (i) EL_TRY(el_str_putc(str, ','));
        EL_TRY(put_model(str, &roster->models[i]));
    }
    return el_str_puts(str, "]}\n");
}

void el_handle_list_models(struct el_exchange *exchange) {
    reply_json(exchange, 200, put_models(&exchange->reply.body, &exchange->server->roster));
}

void el_handle_get_model(struct el_exchange *exchange) {
    const struct el_model *model = el_roster_find(&exchange->server->roster, exchange->id);
    if (model) {
        reply_json(exchange, 200, put_model(&exchange->reply.body, model));
        return;
    }
    el_fault_set(&exchange->fault, EL_FAULT_NO_MODEL, "model", "model \"%.100s\" is not served here",
                 exchange->id);
}

// ---- health ----

enum health { HEALTH_OK, HEALTH_LOADING, HEALTH_DRAINING, HEALTH_FAILED };
static const char *const health_text[] = {"ok", "loading", "draining", "failed"};

static enum health health_of(const struct el_server *server) {
    if (server->draining) return HEALTH_DRAINING;
    if (el_roster_ready(&server->roster)) return HEALTH_OK;
    return atomic_load(&server->roster.through) ? HEALTH_FAILED : HEALTH_LOADING;
}

// "devices":["cuda:0","cuda:1"] of "cuda:0,cuda:1".
static int put_device_names(struct el_str *str, const char *devices) {
    EL_TRY(el_str_puts(str, ",\"devices\":["));
    for (const char *name = devices; *name;) {
        const size_t length = strcspn(name, ",");
        EL_TRY(el_str_printf(str, "%s\"%.*s\"", name > devices ? "," : "", (int)length, name));
        name += length + (name[length] == ',');
    }
    return el_str_putc(str, ']');
}

static int put_model_health(struct el_str *str, const struct el_model *model) {
    struct el_embedder *embedder = atomic_load(&model->embedder);
    struct el_embed_info info;
    struct el_embed_stats stats;
    EL_TRY(el_str_putc(str, '{'));
    EL_TRY(put_member(str, "name", model->name));
    if (!embedder) return el_str_puts(str, ",\"loaded\":false}");
    el_embedder_info(embedder, &info);
    el_embedder_stats(embedder, &stats);
    EL_TRY(el_str_printf(
        str,
        ",\"loaded\":true,\"arch\":\"%s\",\"device\":\"%s\",\"simd\":\"%s\",\"precision\":\"%s\","
        "\"threads\":%d,\"dimensions\":%d,\"max_input_tokens\":%d,\"weight_bytes\":%" PRIu64,
        info.arch, info.place.device, info.place.ops, info.precision, info.threads, info.dim, info.max_tokens,
        info.weight_bytes));
    EL_TRY(put_device_names(str, info.devices));
    EL_TRY(el_str_printf(
        str, ",\"batch_tokens\":%" PRIu64 ",\"current_batch_size\":%" PRIu64 ",\"oom_count\":%" PRIu64,
        stats.batch_tokens, stats.batch_size, stats.oom_count));
    EL_TRY(el_str_printf(str, ",\"queue_inputs\":%" PRIu64 ",\"queue_tokens\":%" PRIu64, stats.queue_inputs,
                         stats.queue_tokens));
    return el_str_printf(str,
                         ",\"cache\":{\"hits\":%" PRIu64 ",\"misses\":%" PRIu64 ",\"coalesced\":%" PRIu64
                         ",\"evictions\":%" PRIu64 ",\"entries\":%" PRIu64 ",\"bytes\":%" PRIu64 "}}",
                         stats.cache_hits, stats.cache_misses, stats.cache_coalesced, stats.cache_evictions,
                         stats.cache_entries, stats.cache_bytes);
}

// "hardware": how the devices are, "recent": what they have shown in the last minutes.
static int put_devices(struct el_str *str, const struct el_server *server) {
    struct el_monitor_view view;
    el_monitor_read(server->monitor, &view);
    EL_TRY(el_str_puts(str, "\"hardware\":"));
    EL_TRY(el_health_put_json(&view.health, str));
    EL_TRY(el_str_printf(str, ",\"recent\":{\"seconds\":%d,\"devices\":[", EL_HISTORY_S));
    for (int i = 0; i < view.health.count; i++) {
        if (i) EL_TRY(el_str_putc(str, ','));
        EL_TRY(el_samples_put_json(view.health.devices[i].id, &view.samples[i], str));
    }
    return el_str_puts(str, "]}");
}

static int put_health(struct el_str *str, const struct el_server *server) {
    EL_TRY(el_str_putc(str, '{'));
    EL_TRY(put_member(str, "status", health_text[health_of(server)]));
    EL_TRY(el_str_printf(str, ",\"version\":\"%s\",\"uptime_s\":%" PRId64 ",\"models\":[", EL_VERSION,
                         (int64_t)time(NULL) - server->metrics.started));
    for (size_t i = 0; i < server->roster.count; i++) {
        if (i) EL_TRY(el_str_putc(str, ','));
        EL_TRY(put_model_health(str, &server->roster.models[i]));
    }
    EL_TRY(el_str_puts(str, "],"));
    EL_TRY(put_devices(str, server));
    return el_str_puts(str, "}\n");
}

void el_handle_health(struct el_exchange *exchange) {
    const struct el_server *server = exchange->server;
    reply_json(exchange, health_of(server) == HEALTH_OK ? 200 : 503,
               put_health(&exchange->reply.body, server));
}

// {"status":"ok"}
static void reply_status(struct el_exchange *exchange, enum health health) {
    int status = el_str_printf(&exchange->reply.body, "{\"status\":\"%s\"}\n", health_text[health]);
    reply_json(exchange, health == HEALTH_OK ? 200 : 503, status);
}

void el_handle_livez(struct el_exchange *exchange) {
    reply_status(exchange, HEALTH_OK);
}

void el_handle_readyz(struct el_exchange *exchange) {
    reply_status(exchange, health_of(exchange->server));
}
