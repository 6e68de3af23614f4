// SPDX-License-Identifier: Apache-2.0
// /metrics. Names are those of text-embeddings-inference (te_) and vLLM (vllm:) where they have one for the
// same fact, of the Prometheus client libraries for the process, and our own (eleanor_) for the rest.
// docs/metrics.md says what each means.
#include "serve/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "serve/device_metrics.h"
#include "serve/exchange.h"
#include "serve/handlers.h"
#include "serve/server.h"

static const int statuses[EL_STATUS_KINDS] = {200, 201, 204, 400, 401, 404, 405,
                                              409, 413, 415, 429, 499, 500, 503};

// ---- counting ----

void el_metrics_init(struct el_metrics *metrics) {
    *metrics = (struct el_metrics){.started = time(NULL)};
    el_histogram_init(&metrics->duration, 0.001, 2); // 1 ms to 16 s
}

void el_metrics_count(struct el_metrics *metrics, const struct el_exchange *exchange) {
    size_t route = exchange->route ? (size_t)(exchange->route - el_routes) : EL_ROUTE_COUNT, status = 0;
    while (status < EL_STATUS_KINDS - 1 && statuses[status] != exchange->reply.status)
        status++;
    metrics->answers[route][status]++;
    if (route != EL_ROUTE_create_embeddings) return;
    bool several = exchange->inputs > 1;
    if (exchange->fault.kind) metrics->failures[exchange->fault.kind]++;
    if (exchange->inputs) metrics->embed[several]++;
    if (exchange->reply.status != 200) return;
    metrics->embed_success[several]++;
    el_histogram_add(&metrics->duration, (double)(el_now_ns() - exchange->began_ns) * 1e-9);
}

// ---- writing ----

int el_metrics_put_head(struct el_str *str, const char *name, const char *type, const char *help) {
    return el_str_printf(str, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

// One sample with its head, for facts without labels.
static int put_value(struct el_str *str, const char *name, const char *type, const char *help, double value) {
    EL_TRY(el_metrics_put_head(str, name, type, help));
    return el_str_printf(str, "%s %.17g\n", name, value);
}

// The samples of one histogram; `labels` like "model=\"x\"", or "".
static int put_buckets(struct el_str *str, const char *name, const char *labels,
                       const struct el_histogram *h) {
    const char *comma = labels[0] ? "," : "";
    uint64_t below = 0;
    for (int i = 0; i < EL_HISTOGRAM_BUCKETS - 1; i++) {
        below += h->bucket[i];
        EL_TRY(el_str_printf(str, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, labels, comma, h->bound[i],
                             below));
    }
    below += h->bucket[EL_HISTOGRAM_BUCKETS - 1];
    EL_TRY(el_str_printf(str, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, comma, below));
    const char *open = labels[0] ? "{" : "", *close = labels[0] ? "}" : "";
    EL_TRY(el_str_printf(str, "%s_sum%s%s%s %.17g\n", name, open, labels, close, h->sum));
    return el_str_printf(str, "%s_count%s%s%s %" PRIu64 "\n", name, open, labels, close, below);
}

// "name=\"value\"" with the value escaped as the format asks.
static int put_label(struct el_str *str, const char *name, const char *value) {
    EL_TRY(el_str_printf(str, "%s=\"", name));
    for (; *value; value++) {
        if (*value == '\n')
            EL_TRY(el_str_puts(str, "\\n"));
        else if (*value == '"' || *value == '\\')
            EL_TRY(el_str_append(str, (char[]){'\\', *value}, 2));
        else
            EL_TRY(el_str_putc(str, *value));
    }
    return el_str_putc(str, '"');
}

// ---- requests ----

static int put_requests(struct el_str *str, const struct el_metrics *metrics) {
    static const char *const method[2] = {"single", "batch"};
    EL_TRY(el_metrics_put_head(str, "te_request_count", "counter",
                               "Embedding requests whose body was understood"));
    for (int i = 0; i < 2; i++)
        EL_TRY(el_str_printf(str, "te_request_count{method=\"%s\"} %" PRIu64 "\n", method[i],
                             metrics->embed[i]));
    EL_TRY(el_metrics_put_head(str, "te_request_success", "counter", "Embedding requests answered with 200"));
    for (int i = 0; i < 2; i++)
        EL_TRY(el_str_printf(str, "te_request_success{method=\"%s\"} %" PRIu64 "\n", method[i],
                             metrics->embed_success[i]));
    EL_TRY(el_metrics_put_head(str, "te_request_duration", "histogram",
                               "Seconds from an embedding request's header to its answer"));
    return put_buckets(str, "te_request_duration", "", &metrics->duration);
}

static int put_failures(struct el_str *str, const struct el_metrics *metrics) {
    EL_TRY(el_metrics_put_head(str, "te_request_failure", "counter",
                               "Embedding requests answered with an error"));
    for (int kind = 1; kind < EL_FAULT_COUNT; kind++) {
        const char *label = el_fault_rows[kind].label;
        uint64_t sum = 0;
        bool first = true;
        for (int other = 1; other < EL_FAULT_COUNT; other++) {
            if (strcmp(el_fault_rows[other].label, label) != 0) continue;
            if (other < kind) first = false; // its label was written then
            sum += metrics->failures[other];
        }
        if (first) EL_TRY(el_str_printf(str, "te_request_failure{err=\"%s\"} %" PRIu64 "\n", label, sum));
    }
    return 0;
}

static int put_answers(struct el_str *str, const struct el_metrics *metrics) {
    EL_TRY(el_metrics_put_head(str, "eleanor_http_responses_total", "counter",
                               "Answers by route and HTTP status"));
    for (int route = 0; route <= EL_ROUTE_COUNT; route++)
        for (int i = 0; i < EL_STATUS_KINDS; i++)
            if (metrics->answers[route][i])
                EL_TRY(el_str_printf(str,
                                     "eleanor_http_responses_total{route=\"%s\",status=\"%d\"} %" PRIu64 "\n",
                                     route < EL_ROUTE_COUNT ? el_routes[route].path : "none", statuses[i],
                                     metrics->answers[route][i]));
    return 0;
}

// ---- models ----

// A loaded model with its figures, read once so that all samples are of one moment.
struct reading {
    const struct el_embedder *embedder;
    char *labels; // te_: model="name"
    char *vllm;   // vllm: model_name="name"
    struct el_embed_info info;
    struct el_embed_stats stats;
    struct el_histogram histogram[EL_HIST_COUNT];
};

struct readings {
    struct reading *model;
    size_t count;
};

static void readings_done(struct readings *readings) {
    for (size_t i = 0; i < readings->count; i++) {
        el_free(readings->model[i].labels);
        el_free(readings->model[i].vllm);
    }
    el_free(readings->model);
}

static int read_model(const struct el_model *model, struct el_embedder *embedder, struct reading *reading) {
    struct el_str labels = {0}, vllm = {0};
    reading->embedder = embedder;
    el_embedder_info(embedder, &reading->info);
    el_embedder_stats(embedder, &reading->stats);
    for (int i = 0; i < EL_HIST_COUNT; i++)
        el_embedder_histogram(embedder, (enum el_embed_histogram)i, &reading->histogram[i]);
    int status = put_label(&labels, "model", model->name);
    if (status == 0) status = put_label(&vllm, "model_name", model->name);
    reading->labels = labels.data;
    reading->vllm = vllm.data;
    return status;
}

static int read_models(const struct el_roster *roster, struct readings *readings) {
    EL_TRY(el_zalloc(roster->count, sizeof *readings->model, &readings->model));
    for (size_t i = 0; i < roster->count; i++) {
        struct el_embedder *embedder = atomic_load(&roster->models[i].embedder);
        if (embedder) EL_TRY(read_model(&roster->models[i], embedder, &readings->model[readings->count++]));
    }
    return 0;
}

static int put_histograms(struct el_str *str, const struct readings *readings) {
    static const struct {
        const char *name, *help;
    } rows[EL_HIST_COUNT] = {
        [EL_HIST_INPUT_TOKENS] = {"te_request_input_length", "Tokens per input, after truncation"},
        [EL_HIST_TOKENIZE_SECONDS] = {"te_request_tokenization_duration",
                                      "Seconds of tokenising, per request"},
        [EL_HIST_BATCH_INPUTS] = {"te_batch_next_size", "Inputs per computed batch"},
        [EL_HIST_BATCH_TOKENS] = {"te_batch_next_tokens", "Tokens per computed batch"},
        [EL_HIST_QUEUE_SECONDS] = {"te_request_queue_duration",
                                   "Seconds that an input waited to be computed"},
        [EL_HIST_COMPUTE_SECONDS] = {"te_request_inference_duration", "Seconds per computed batch"},
    };
    for (int i = 0; i < EL_HIST_COUNT; i++) {
        EL_TRY(el_metrics_put_head(str, rows[i].name, "histogram", rows[i].help));
        for (size_t m = 0; m < readings->count; m++)
            EL_TRY(
                put_buckets(str, rows[i].name, readings->model[m].labels, &readings->model[m].histogram[i]));
    }
    return 0;
}

// Plain figures of el_embed_stats under each name; `scale` turns nanoseconds into seconds.
static int put_stats(struct el_str *str, const struct readings *readings) {
#define AT(member) offsetof(struct el_embed_stats, member)
    static const struct {
        const char *name, *type, *help;
        size_t offset;
        double scale;
        bool vllm;
    } rows[] = {
        {"te_queue_size", "gauge", "Inputs that wait to be computed", AT(queue_inputs), 1, false},
        {"te_embed_count", "counter", "Inputs that were accepted", AT(inputs), 1, false},
        {"eleanor_queue_tokens", "gauge", "Tokens that wait to be computed", AT(queue_tokens), 1, false},
        {"eleanor_batches_total", "counter", "Batches that were computed", AT(batches), 1, false},
        {"eleanor_requests_refused_total", "counter", "Requests refused because the queue was full",
         AT(refused), 1, false},
        {"eleanor_requests_canceled_total", "counter", "Requests dropped because the client left",
         AT(canceled), 1, false},
        {"eleanor_out_of_memory_total", "counter", "Batches that did not fit into memory", AT(oom_count), 1,
         false},
        {"eleanor_out_of_memory_halved_total", "counter", "Batches that were halved then", AT(oom_halved), 1,
         false},
        {"eleanor_out_of_memory_trimmed_total", "counter", "Times that idle memory was given back then",
         AT(oom_trimmed), 1, false},
        {"eleanor_out_of_memory_caches_dropped_total", "counter", "Times that caches were dropped then",
         AT(oom_caches_dropped), 1, false},
        {"eleanor_out_of_memory_moved_total", "counter", "Batches that were tried on another device then",
         AT(oom_moved), 1, false},
        {"eleanor_device_rejoins_total", "counter", "Devices that were given up and taken back", AT(rejoins),
         1, false},
        {"eleanor_batch_tokens", "gauge", "Most tokens of one batch now; less while memory is short",
         AT(batch_tokens), 1, false},
        {"eleanor_current_batch_size", "gauge", "Most texts of one batch now; 0: as many as its tokens allow",
         AT(batch_size), 1, false},
        {"eleanor_requests_failed_total", "counter", "Requests whose computation failed", AT(failures), 1,
         false},
        {"eleanor_inference_seconds_total", "counter", "Seconds of computing, over all threads",
         AT(inference_ns), 1e-9, false},
        {"eleanor_embedding_cache_hits_total", "counter", "Inputs whose vector was in the cache",
         AT(cache_hits), 1, false},
        {"eleanor_embedding_cache_misses_total", "counter", "Inputs that were computed", AT(cache_misses), 1,
         false},
        {"eleanor_embedding_cache_coalesced_total", "counter",
         "Inputs that waited for another input of the same text", AT(cache_coalesced), 1, false},
        {"eleanor_embedding_cache_evictions_total", "counter", "Vectors that left the cache for others",
         AT(cache_evictions), 1, false},
        {"eleanor_embedding_cache_entries", "gauge", "Vectors in the cache", AT(cache_entries), 1, false},
        {"eleanor_embedding_cache_bytes", "gauge", "Bytes of the cache", AT(cache_bytes), 1, false},
        {"vllm:prompt_tokens_total", "counter", "Tokens of accepted inputs", AT(tokens), 1, true},
        {"vllm:num_requests_waiting", "gauge", "Inputs that wait to be computed", AT(queue_inputs), 1, true},
    };
#undef AT
    for (size_t i = 0; i < EL_COUNT(rows); i++) {
        EL_TRY(el_metrics_put_head(str, rows[i].name, rows[i].type, rows[i].help));
        for (size_t m = 0; m < readings->count; m++) {
            const struct reading *reading = &readings->model[m];
            uint64_t value;
            memcpy(&value, (const char *)&reading->stats + rows[i].offset, sizeof value);
            EL_TRY(el_str_printf(str, "%s{%s} %.17g\n", rows[i].name,
                                 rows[i].vllm ? reading->vllm : reading->labels,
                                 (double)value * rows[i].scale));
        }
    }
    return 0;
}

// 1 for each device of a model that was given up and is not back yet, 0 for the others.
static int put_given_up(struct el_str *str, const struct readings *readings) {
    EL_TRY(el_metrics_put_head(str, "eleanor_device_given_up", "gauge",
                               "1 while the device is out of use, and tried again from time to time"));
    for (size_t m = 0; m < readings->count; m++) {
        const struct el_embedder *embedder = readings->model[m].embedder;
        for (int i = 0; i < el_embedder_device_count(embedder); i++) {
            struct el_embed_device device;
            el_embedder_device(embedder, i, &device);
            if (!device.in_use && !device.given_up) continue; // the processor in reserve
            EL_TRY(el_str_printf(str, "eleanor_device_given_up{%s,device=\"%s\"} %d\n",
                                 readings->model[m].labels, device.id, device.given_up));
        }
    }
    return 0;
}

static int put_models(struct el_str *str, const struct readings *readings) {
    EL_TRY(put_histograms(str, readings));
    EL_TRY(put_stats(str, readings));
    EL_TRY(put_given_up(str, readings));
    EL_TRY(el_metrics_put_head(str, "eleanor_model_info", "gauge",
                               "1 for each loaded model; the labels say how it runs"));
    for (size_t m = 0; m < readings->count; m++) {
        const struct reading *r = &readings->model[m];
        EL_TRY(el_str_printf(str,
                             "eleanor_model_info{%s,arch=\"%s\",device=\"%s\",simd=\"%s\",precision=\"%s\","
                             "dimensions=\"%d\",threads=\"%d\"} 1\n",
                             r->labels, r->info.arch, r->info.devices, r->info.place.ops, r->info.precision,
                             r->info.dim, r->info.threads));
    }
    EL_TRY(el_metrics_put_head(str, "eleanor_model_weight_bytes", "gauge",
                               "Bytes of a model's weights in memory"));
    for (size_t m = 0; m < readings->count; m++)
        EL_TRY(el_str_printf(str, "eleanor_model_weight_bytes{%s} %" PRIu64 "\n", readings->model[m].labels,
                             readings->model[m].info.weight_bytes));
    return 0;
}

// ---- process ----

static double count_open_files(void) {
    DIR *dir = opendir("/proc/self/fd");
    double count = -3; // ".", ".." and the directory itself
    while (dir && readdir(dir))
        count++;
    if (dir) closedir(dir);
    return count;
}

static int put_process(struct el_str *str, const struct el_metrics *metrics) {
    el_auto(el_str_done) struct el_str text = {0};
    unsigned long pages = 0, resident = 0;
    struct rusage used;
    struct rlimit files;
    getrusage(RUSAGE_SELF, &used);
    getrlimit(RLIMIT_NOFILE, &files);
    if (el_read_file("/proc/self/statm", 4096, &text) == 0) sscanf(text.data, "%lu %lu", &pages, &resident);
    double page = (double)sysconf(_SC_PAGESIZE);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
    EL_TRY(put_value(str, "process_cpu_seconds_total", "counter", "Processor seconds, user and system", cpu));
    EL_TRY(
        put_value(str, "process_resident_memory_bytes", "gauge", "Resident memory", (double)resident * page));
    EL_TRY(put_value(str, "process_virtual_memory_bytes", "gauge", "Virtual memory", (double)pages * page));
    EL_TRY(put_value(str, "process_open_fds", "gauge", "Open files and sockets", count_open_files()));
    EL_TRY(put_value(str, "process_max_fds", "gauge", "Most open files and sockets", (double)files.rlim_cur));
    return put_value(str, "process_start_time_seconds", "gauge", "When it started, in seconds since 1970",
                     (double)metrics->started);
}

static int put_devices(struct el_str *str, const struct el_server *server) {
    struct el_monitor_view view;
    el_monitor_read(server->monitor, &view);
    return el_device_metrics_write(server->manager, &view, str);
}

// All of it in Prometheus' text format.
static int write_all(struct el_server *server, struct el_str *str) {
    const struct el_metrics *metrics = &server->metrics;
    el_auto(readings_done) struct readings readings = {0};
    EL_TRY(read_models(&server->roster, &readings));
    EL_TRY(put_requests(str, metrics));
    EL_TRY(put_failures(str, metrics));
    EL_TRY(put_models(str, &readings));
    EL_TRY(put_devices(str, server));
    EL_TRY(put_answers(str, metrics));
    EL_TRY(put_value(str, "eleanor_requests_running", "gauge", "Embedding requests that wait or are computed",
                     (double)server->working));
    EL_TRY(put_value(str, "eleanor_max_queue_tokens", "gauge", "Tokens that may wait, per model",
                     (double)server->config->max_queue_tokens));
    EL_TRY(put_value(str, "eleanor_connections", "gauge", "Open connections", (double)server->peers.count));
    EL_TRY(el_metrics_put_head(str, "eleanor_build_info", "gauge", "1; the label is the version"));
    EL_TRY(el_str_printf(str, "eleanor_build_info{version=\"%s\"} 1\n", EL_VERSION));
    return put_process(str, metrics);
}

void el_handle_metrics(struct el_exchange *exchange) {
    exchange->reply.status = 200;
    exchange->reply.media_type = EL_MEDIA_METRICS;
    int status = write_all(exchange->server, &exchange->reply.body);
    if (status < 0) el_fault_from_status(&exchange->fault, status, NULL);
}
