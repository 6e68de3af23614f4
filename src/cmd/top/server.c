// SPDX-License-Identifier: Apache-2.0
// What top reads from a server: queues and models, from its /metrics.
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd/top/top.h"

enum { TIMEOUT_MS = 2000, MOST_BYTES = 4 << 20 };

// ---- Prometheus' text format ----

// The value of a label in {a="b",c="d"}; false when it is not there. Escapes are left as they are.
static bool find_label(const char *labels, size_t length, const char *name, char *ret_value, size_t size) {
    const size_t name_length = strlen(name);
    for (const char *p = labels; p + name_length + 2 < labels + length; p++) {
        const bool begins = p == labels || p[-1] == '{' || p[-1] == ',';
        if (!begins || strncmp(p, name, name_length) != 0 || p[name_length] != '=' ||
            p[name_length + 1] != '"')
            continue;
        const char *value = p + name_length + 2, *end = value;
        while (end < labels + length && *end != '"')
            end += *end == '\\' && end + 1 < labels + length ? 2 : 1;
        snprintf(ret_value, size, "%.*s", (int)(end - value), value);
        return true;
    }
    return false;
}

// The model of this name, added when it is new; NULL when there is no room.
static struct el_top_model *model_of(struct el_top_server *server, const char *name) {
    for (int i = 0; i < server->model_count; i++)
        if (el_streq(server->models[i].name, name)) return &server->models[i];
    if (server->model_count == EL_TOP_MODELS) return NULL;
    struct el_top_model *model = &server->models[server->model_count++];
    *model = (struct el_top_model){.tokens_per_s = -1};
    snprintf(model->name, sizeof model->name, "%s", name);
    return model;
}

static void take_alert(struct el_top_server *server, const char *labels, size_t length) {
    struct el_top_alert alert;
    if (server->alert_count < EL_TOP_ALERTS &&
        find_label(labels, length, "device", alert.device, sizeof alert.device) &&
        find_label(labels, length, "kind", alert.kind, sizeof alert.kind))
        server->alerts[server->alert_count++] = alert;
}

static void take_given_up(struct el_top_server *server, const char *labels, size_t length) {
    struct el_top_given_up given_up;
    if (server->given_up_count < EL_TOP_ALERTS &&
        find_label(labels, length, "device", given_up.device, sizeof given_up.device) &&
        find_label(labels, length, "model", given_up.model, sizeof given_up.model))
        server->given_up[server->given_up_count++] = given_up;
}

static void take_sample(struct el_top_server *server, const char *name, const char *labels, size_t length,
                        double value) {
    char text[EL_TOP_NAME];
    if (el_streq(name, "eleanor_requests_running")) server->requests_running = value;
    if (el_streq(name, "eleanor_alert_active") && value > 0) take_alert(server, labels, length);
    if (el_streq(name, "eleanor_device_given_up") && value > 0) take_given_up(server, labels, length);
    if (!find_label(labels, length, "model", text, sizeof text) &&
        !find_label(labels, length, "model_name", text, sizeof text))
        return;
    struct el_top_model *model = model_of(server, text);
    if (!model) return;
    if (el_streq(name, "te_queue_size")) model->queue_inputs = value;
    if (el_streq(name, "eleanor_queue_tokens")) model->queue_tokens = value;
    if (el_streq(name, "vllm:prompt_tokens_total")) model->tokens = value;
    if (el_streq(name, "eleanor_device_rejoins_total")) model->rejoins = value;
    if (el_streq(name, "eleanor_model_weight_bytes")) model->weight_bytes = value;
    if (el_streq(name, "eleanor_model_info")) {
        find_label(labels, length, "device", model->device, sizeof model->device);
        find_label(labels, length, "precision", model->precision, sizeof model->precision);
    }
}

// name{labels} value
static void parse_line(struct el_top_server *server, const char *line, size_t length) {
    char name[64];
    const size_t name_length = strcspn(line, "{ \n");
    const char *labels = line + name_length, *end = labels;
    if (line[0] == '#' || name_length == 0 || name_length >= sizeof name || name_length >= length) return;
    if (*labels == '{') {
        bool quoted = false;
        while (end < line + length && (*end != '}' || quoted)) {
            if (*end == '"') quoted = !quoted;
            if (*end == '\\') end++;
            end++;
        }
    }
    if (end >= line + length) return;
    snprintf(name, sizeof name, "%.*s", (int)name_length, line);
    take_sample(server, name, labels, (size_t)(end - labels), strtod(end + (*end == '}'), NULL));
}

void el_top_server_parse(const char *text, struct el_top_server *server) {
    while (*text) {
        const size_t length = strcspn(text, "\n");
        parse_line(server, text, length);
        text += length + (text[length] == '\n');
    }
}

// ---- asking ----

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
    struct el_str *body = context;
    if (body->length + size * count > MOST_BYTES || el_str_append(body, bytes, size * count) < 0) return 0;
    return size * count;
}

static CURLcode get(CURL *curl, const struct el_top_server *server, const char *api_key,
                    struct el_str *body) {
    char url[300];
    snprintf(url, sizeof url, "%s/metrics", server->url);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "127.0.0.1,localhost,::1");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    if (api_key) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, api_key);
    }
    return curl_easy_perform(curl);
}

void el_top_server_read(const char *api_key, struct el_top_server *server) {
    struct el_str body el_auto(el_str_done) = {0};
    char reason[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();
    server->answers = false;
    server->model_count = server->alert_count = server->given_up_count = 0;
    if (!curl) return;
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    const CURLcode result = get(curl, server, api_key, &body);
    if (result == CURLE_OK) {
        server->answers = true;
        server->problem[0] = '\0';
        if (body.data) el_top_server_parse(body.data, server);
    } else {
        snprintf(server->problem, sizeof server->problem, "%s",
                 *reason ? reason : curl_easy_strerror(result));
    }
    curl_easy_cleanup(curl);
}
