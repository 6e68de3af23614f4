// SPDX-License-Identifier: Apache-2.0
// How the server, its models and its devices are: /health, /livez, /readyz.
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "serve/backend_info.h"
#include "serve/exchange.h"
#include "serve/handlers.h"
#include "serve/server.h"

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

// A model as it runs now.
struct loaded {
    struct el_embed_info info;
    struct el_embed_stats stats;
};

// get_info of requirement 4. While memory is short batches are smaller.
static int put_info(struct el_str *str, const struct el_server *server, const char *name,
                    const struct loaded *loaded, const struct el_health *health) {
    const struct el_embed_info *info = &loaded->info;
    const struct el_embed_stats *stats = &loaded->stats;
    const double share = EL_MIN((double)stats->batch_tokens / (double)info->batch.tokens, 1);
    struct el_backend_info facts = {
        .config = server->config,
        .model = name,
        .embedding_dim = info->dim,
        .batch_size = EL_MAX((int)(info->batch.texts * share), 1),
        .max_batch_size = info->batch.texts,
        .batch_tokens = (int64_t)stats->batch_tokens,
        .batch_source = info->batch.source,
        .oom_count = stats->oom_count,
        .rejoins = stats->rejoins,
        .device_id = info->place.device,
        .device = &info->place.facts,
        .device_count = info->place_count,
    };
    for (int i = 0; i < health->count; i++)
        if (el_streq(health->devices[i].id, info->place.device)) facts.health = &health->devices[i];
    return el_backend_info_put_json(&facts, str);
}

static int put_loaded(struct el_str *str, const struct loaded *loaded) {
    const struct el_embed_info *info = &loaded->info;
    const struct el_embed_stats *stats = &loaded->stats;
    EL_TRY(el_str_printf(str,
                         "\"arch\":\"%s\",\"device\":\"%s\",\"simd\":\"%s\",\"precision\":\"%s\","
                         "\"threads\":%d,\"dimensions\":%d,\"max_input_tokens\":%d,\"weight_bytes\":%" PRIu64,
                         info->arch, info->place.device, info->place.ops, info->precision, info->threads,
                         info->dim, info->max_tokens, info->weight_bytes));
    EL_TRY(put_device_names(str, info->devices));
    EL_TRY(el_str_printf(str, ",\"queue_inputs\":%" PRIu64 ",\"queue_tokens\":%" PRIu64, stats->queue_inputs,
                         stats->queue_tokens));
    return el_str_printf(str,
                         ",\"cache\":{\"hits\":%" PRIu64 ",\"misses\":%" PRIu64 ",\"coalesced\":%" PRIu64
                         ",\"evictions\":%" PRIu64 ",\"entries\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
                         stats->cache_hits, stats->cache_misses, stats->cache_coalesced,
                         stats->cache_evictions, stats->cache_entries, stats->cache_bytes);
}

// Devices that were lost for good, and when they are tried again.
static int put_given_up(struct el_str *str, const struct el_embedder *embedder) {
    const uint64_t now = el_now_ns();
    const char *separator = "";
    EL_TRY(el_str_puts(str, ",\"given_up\":["));
    for (int i = 0; i < el_embedder_device_count(embedder); i++) {
        struct el_embed_device device;
        el_embedder_device(embedder, i, &device);
        if (!device.given_up) continue;
        EL_TRY(el_str_printf(str, "%s{\"device\":\"%s\",\"tries\":%" PRIu64 ",\"next_try_s\":", separator,
                             device.id, device.tries));
        EL_TRY(device.next_ns ? el_str_printf(str, "%.1f", (double)(EL_MAX(device.next_ns, now) - now) * 1e-9)
                              : el_str_puts(str, "null"));
        EL_TRY(el_str_puts(str, ",\"problem\":"));
        EL_TRY(device.problem[0] ? el_str_put_json(str, device.problem, strlen(device.problem))
                                 : el_str_puts(str, "null"));
        EL_TRY(el_str_putc(str, '}'));
        separator = ",";
    }
    return el_str_putc(str, ']');
}

static int put_model(struct el_str *str, const struct el_server *server, const struct el_model *model,
                     const struct el_health *health) {
    struct el_embedder *embedder = atomic_load(&model->embedder);
    EL_TRY(el_str_puts(str, "{\"name\":"));
    EL_TRY(el_str_put_json(str, model->name, strlen(model->name)));
    EL_TRY(el_str_printf(str, ",\"loaded\":%s", embedder ? "true" : "false"));
    if (embedder) {
        struct loaded loaded;
        el_embedder_info(embedder, &loaded.info);
        el_embedder_stats(embedder, &loaded.stats);
        EL_TRY(el_str_putc(str, ','));
        EL_TRY(put_loaded(str, &loaded));
        EL_TRY(put_given_up(str, embedder));
        EL_TRY(el_str_puts(str, ",\"info\":"));
        EL_TRY(put_info(str, server, model->name, &loaded, health));
    }
    return el_str_putc(str, '}');
}

// "hardware": how the devices are, "recent": what they have shown in the last minutes.
static int put_devices(struct el_str *str, const struct el_monitor_view *view) {
    EL_TRY(el_str_puts(str, "\"hardware\":"));
    EL_TRY(el_health_put_json(&view->health, str));
    EL_TRY(el_str_printf(str, ",\"recent\":{\"seconds\":%d,\"devices\":[", EL_HISTORY_S));
    for (int i = 0; i < view->health.count; i++) {
        if (i) EL_TRY(el_str_putc(str, ','));
        EL_TRY(el_samples_put_json(view->health.devices[i].id, &view->samples[i], str));
    }
    return el_str_puts(str, "]}");
}

static int put_health(struct el_str *str, const struct el_server *server) {
    struct el_monitor_view view;
    el_monitor_read(server->monitor, &view);
    EL_TRY(el_str_printf(str, "{\"status\":\"%s\",\"version\":\"%s\",\"uptime_s\":%" PRId64 ",\"models\":[",
                         health_text[health_of(server)], EL_VERSION,
                         (int64_t)time(NULL) - server->metrics.started));
    for (size_t i = 0; i < server->roster.count; i++) {
        if (i) EL_TRY(el_str_putc(str, ','));
        EL_TRY(put_model(str, server, &server->roster.models[i], &view.health));
    }
    EL_TRY(el_str_puts(str, "],"));
    EL_TRY(put_devices(str, &view));
    return el_str_puts(str, "}\n");
}

void el_handle_health(struct el_exchange *exchange) {
    const struct el_server *server = exchange->server;
    el_exchange_reply_json(exchange, health_of(server) == HEALTH_OK ? 200 : 503,
                           put_health(&exchange->reply.body, server));
}

// {"status":"ok"}
static void reply_status(struct el_exchange *exchange, enum health health) {
    int status = el_str_printf(&exchange->reply.body, "{\"status\":\"%s\"}\n", health_text[health]);
    el_exchange_reply_json(exchange, health == HEALTH_OK ? 200 : 503, status);
}

void el_handle_livez(struct el_exchange *exchange) {
    reply_status(exchange, HEALTH_OK);
}

void el_handle_readyz(struct el_exchange *exchange) {
    reply_status(exchange, health_of(exchange->server));
}
