// SPDX-License-Identifier: Apache-2.0
// `eleanor top`: GPUs, processors and a server's models, live. On a terminal a screen, else a few lines per
// look, or an object of JSON.
#include "cmd/top/top.h"

#include <curl/curl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "cmd/cmd.h"

static const char default_url[] = "http://127.0.0.1:8080";

struct top {
    struct el_nvml *nvml; // NULL where there is none
    const char *url;      // NULL: the default, if it answers
    const char *api_key;
    double interval; // seconds
    int64_t count;   // looks; 0: without end
    bool json;
    sigset_t signals; // that are blocked but while waiting
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

// ---- looking ----

// "MemTotal:  123 kB" of /proc/meminfo, in bytes.
static uint64_t memory_line(const char *text, const char *name) {
    unsigned long long kilobytes = 0;
    const char *line = strstr(text, name);
    if (line) sscanf(line + strlen(name), ": %llu", &kilobytes);
    return kilobytes * 1024;
}

static void look_at_host(struct el_look *look) {
    struct el_str memory el_auto(el_str_done) = {0}, stat el_auto(el_str_done) = {0};
    if (el_read_file("/proc/meminfo", 1 << 16, &memory) == 0) {
        look->memory_total = memory_line(memory.data, "MemTotal");
        look->memory_used = look->memory_total - memory_line(memory.data, "MemAvailable");
    }
    unsigned long long t[8] = {0}; // user, nice, system, idle, iowait, irq, softirq, steal
    if (el_read_file("/proc/stat", 1 << 22, &stat) == 0)
        sscanf(stat.data, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3], &t[4],
               &t[5], &t[6], &t[7]);
    look->cpu_busy = t[0] + t[1] + t[2] + t[5] + t[6] + t[7];
    look->cpu_all = look->cpu_busy + t[3] + t[4];
}

static void look_at_gpus(const struct top *top, struct el_look *look) {
    look->gpu_count = top->nvml ? el_nvml_count(top->nvml) : 0;
    for (int i = 0; i < look->gpu_count; i++) {
        look->gpus[i] = el_nvml_gpu(top->nvml, i);
        el_nvml_read(top->nvml, i, &look->readings[i]);
    }
}

static void look_at_server(const struct top *top, struct el_top_server *server) {
    snprintf(server->url, sizeof server->url, "%s", top->url ? top->url : default_url);
    el_top_server_read(top->api_key, server);
    if (!server->answers && !top->url) server->url[0] = '\0'; // nobody asked for it
}

// Rates are what has changed since the look before.
static void compare(const struct el_look *before, struct el_look *look) {
    const double seconds = (double)(look->ns - before->ns) * 1e-9;
    if (look->cpu_all > before->cpu_all)
        look->busy_pct =
            100.0 * (double)(look->cpu_busy - before->cpu_busy) / (double)(look->cpu_all - before->cpu_all);
    for (int i = 0; i < look->server.model_count; i++)
        for (int j = 0; j < before->server.model_count; j++) {
            struct el_top_model *model = &look->server.models[i];
            const struct el_top_model *old = &before->server.models[j];
            if (el_streq(model->name, old->name) && model->tokens >= old->tokens)
                model->tokens_per_s = (model->tokens - old->tokens) / seconds;
        }
}

static void look_around(const struct top *top, const struct el_look *before, struct el_look *look) {
    *look = (struct el_look){.time = (int64_t)time(NULL), .ns = el_now_ns(), .busy_pct = -1};
    look_at_host(look);
    look_at_gpus(top, look);
    look_at_server(top, &look->server);
    if (before->ns) compare(before, look);
}

// ---- showing ----

// Until the next look is due; true when the user wants to end. Signals come in here alone.
static bool wait(const struct top *top, bool on_screen) {
    const double whole = floor(top->interval);
    const struct timespec time = {(time_t)whole, (long)((top->interval - whole) * 1e9)};
    struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
    ppoll(&keys, on_screen ? 1 : 0, &time, &top->signals);
    return on_screen && el_top_screen_quits();
}

static void show(const struct top *top, bool on_screen, const struct el_look *look) {
    if (on_screen)
        el_top_screen_draw(look);
    else if (top->json)
        el_top_print_json(look);
    else
        el_top_print(look);
}

static void watch(const struct top *top, bool on_screen) {
    struct el_look looks[2] = {0};
    for (int64_t i = 0; !interrupted && !ferror(stdout); i++) {
        struct el_look *look = &looks[i % 2];
        look_around(top, &looks[(i + 1) % 2], look);
        show(top, on_screen, look);
        if (i + 1 == top->count || wait(top, on_screen)) return;
    }
}

static void catch_signals(struct top *top) {
    const struct sigaction action = {.sa_handler = on_signal};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &top->signals);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void run_top(struct top *top) {
    if (el_nvml_open(&top->nvml) < 0) top->nvml = NULL; // nothing to see there
    curl_global_init(CURL_GLOBAL_DEFAULT);
    catch_signals(top);
    const bool on_screen =
        !top->json && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && el_top_screen_open();
    watch(top, on_screen);
    if (on_screen) el_top_screen_close();
    curl_global_cleanup();
    el_nvml_close(top->nvml);
}

static int run(struct el_args *args) {
    struct el_config config el_auto(el_config_done) = {0};
    struct top top = {.interval = 1};
    struct el_args walk = *args;
    int status = 0;
    for (const char *flag, *value; status == 0 && el_args_next(&walk, &flag, &value) > 0;) {
        if (el_streq(flag, "json")) top.json = true;
        if (el_streq(flag, "url")) top.url = value;
        if (el_streq(flag, "interval")) status = el_parse_f64(value, 0.05, 3600, &top.interval);
        if (el_streq(flag, "count")) status = el_parse_i64(value, 1, INT64_MAX, &top.count);
        if (status < 0) el_fail_in(status, "--%s", flag);
    }
    if (status == 0) status = el_args_config(args, &config);
    if (status < 0) return el_cmd_usage(args);
    top.api_key = config.api_key;
    run_top(&top);
    return EL_EXIT_DONE;
}

const struct el_verb el_verb_top = {
    .name = "top",
    .operands = "",
    .summary = "watch GPUs, processors and a server's models",
    .details =
        "On a terminal a screen that q ends; elsewhere lines of text, or with --json an object per look.\n"
        "Without --url the server at http://127.0.0.1:8080 is shown, if there is one.",
    .flags = (const struct el_flag[]){{"json", 0, NULL, "print a JSON object per look, one a line"},
                                      {"url", 0, "URL", "address of a server whose queues to show"},
                                      {"interval", 'n', "SECONDS", "time between two looks (default 1)"},
                                      {"count", 0, "N", "end after so many looks"},
                                      {0}},
    .settings = (const char *const[]){"api_key", "log_level", "log_format", NULL},
    .run = run,
};
