// SPDX-License-Identifier: Apache-2.0
// A look of top as plain lines, and as a line of JSON. What is not known is left out.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd/top/top.h"

// ---- lines ----

// Appends ", 31 C" when the field is known.
static void put_field(const struct el_gpu_reading *reading, enum el_gpu_field field, double scale,
                      const char *unit) {
    if (el_gpu_knows(reading, field)) printf(", %.0f %s", (double)reading->value[field] * scale, unit);
}

static void print_gpu(const char *now, int index, const struct el_gpu *gpu,
                      const struct el_gpu_reading *reading) {
    printf("%s gpu %d %s", now, index, gpu->name);
    if (reading->is_lost) fputs(", lost", stdout);
    put_field(reading, EL_GPU_UTILIZATION, 1, "% busy");
    if (el_gpu_knows(reading, EL_GPU_MEMORY_USED))
        printf(", %.0f of %.0f MB", (double)reading->value[EL_GPU_MEMORY_USED] * 0x1p-20,
               (double)gpu->memory * 0x1p-20);
    put_field(reading, EL_GPU_TEMPERATURE, 1, "C");
    put_field(reading, EL_GPU_POWER, 1e-3, "W");
    if (el_gpu_knows(reading, EL_GPU_XID_COUNT) && reading->value[EL_GPU_XID_COUNT] > 0)
        put_field(reading, EL_GPU_XID_COUNT, 1, "Xid errors");
    putchar('\n');
}

void el_top_print(const struct el_look *look) {
    char now[32];
    const time_t time = (time_t)look->time;
    struct tm parts;
    strftime(now, sizeof now, "%H:%M:%S", localtime_r(&time, &parts));
    printf("%s processors", now);
    if (look->busy_pct >= 0) printf(", %.0f %% busy", look->busy_pct);
    printf(", %.0f of %.0f MB\n", (double)look->memory_used * 0x1p-20, (double)look->memory_total * 0x1p-20);
    for (int i = 0; i < look->gpu_count; i++)
        print_gpu(now, i, look->gpus[i], &look->readings[i]);
    const struct el_top_server *server = &look->server;
    if (*server->url && !server->answers)
        printf("%s %s does not answer: %s\n", now, server->url, server->problem);
    for (int i = 0; server->answers && i < server->model_count; i++) {
        const struct el_top_model *model = &server->models[i];
        printf("%s %s on %s, %s, %.0f MB, %.0f texts wait with %.0f tokens", now, model->name, model->device,
               model->precision, model->weight_bytes * 0x1p-20, model->queue_inputs, model->queue_tokens);
        if (model->tokens_per_s >= 0) printf(", %.0f tokens/s", model->tokens_per_s);
        if (model->rejoins > 0) printf(", %.0f devices came back", model->rejoins);
        putchar('\n');
    }
    for (int i = 0; server->answers && i < server->alert_count; i++)
        printf("%s alert: %s of %s\n", now, server->alerts[i].kind, server->alerts[i].device);
    for (int i = 0; server->answers && i < server->given_up_count; i++)
        printf("%s given up: %s, by %s\n", now, server->given_up[i].device, server->given_up[i].model);
    fflush(stdout);
}

// ---- JSON ----

static json_t *gpu_json(int index, const struct el_gpu *gpu, const struct el_gpu_reading *reading) {
    struct el_str text el_auto(el_str_done) = {0};
    json_t *row = json_pack("{s:i, s:s, s:s, s:I}", "index", index, "name", gpu->name, "uuid", gpu->uuid,
                            "memory_bytes", (json_int_t)gpu->memory);
    if (el_gpu_reading_put_json(reading, &text) == 0)
        json_object_set_new(row, "reading", json_loadb(text.data, text.length, 0, NULL));
    return row;
}

static json_t *server_json(const struct el_top_server *server) {
    json_t *models = json_array();
    for (int i = 0; i < server->model_count; i++) {
        const struct el_top_model *model = &server->models[i];
        json_t *row =
            json_pack("{s:s, s:s, s:s, s:f, s:f, s:f}", "name", model->name, "device", model->device,
                      "precision", model->precision, "weight_bytes", model->weight_bytes, "queue_inputs",
                      model->queue_inputs, "queue_tokens", model->queue_tokens);
        if (model->tokens_per_s >= 0)
            json_object_set_new(row, "tokens_per_s", json_real(model->tokens_per_s));
        json_object_set_new(row, "rejoins", json_integer((json_int_t)model->rejoins));
        json_array_append_new(models, row);
    }
    json_t *alerts = json_array();
    for (int i = 0; i < server->alert_count; i++)
        json_array_append_new(alerts, json_pack("{s:s, s:s}", "device", server->alerts[i].device, "kind",
                                                server->alerts[i].kind));
    json_t *given_up = json_array();
    for (int i = 0; i < server->given_up_count; i++)
        json_array_append_new(given_up, json_pack("{s:s, s:s}", "device", server->given_up[i].device, "model",
                                                  server->given_up[i].model));
    json_t *root = json_pack("{s:s, s:b, s:o, s:o, s:o}", "url", server->url, "answers", server->answers,
                             "models", models, "alerts", alerts, "given_up", given_up);
    if (!server->answers) json_object_set_new(root, "problem", json_string(server->problem));
    return root;
}

void el_top_print_json(const struct el_look *look) {
    json_t *gpus = json_array();
    for (int i = 0; i < look->gpu_count; i++)
        json_array_append_new(gpus, gpu_json(i, look->gpus[i], &look->readings[i]));
    json_t *processor = json_pack("{s:I, s:I}", "memory_used", (json_int_t)look->memory_used, "memory_total",
                                  (json_int_t)look->memory_total);
    if (look->busy_pct >= 0) json_object_set_new(processor, "busy_pct", json_real(look->busy_pct));
    json_t *root =
        json_pack("{s:I, s:o, s:o}", "time", (json_int_t)look->time, "processor", processor, "gpus", gpus);
    if (*look->server.url) json_object_set_new(root, "server", server_json(&look->server));
    json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
    fflush(stdout);
    json_decref(root);
}
