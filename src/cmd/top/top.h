// SPDX-License-Identifier: Apache-2.0
// The parts of `eleanor top`: a look at the machine and a server, and three ways to show it.
#ifndef EL_CMD_TOP_TOP_H
#define EL_CMD_TOP_TOP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "topo/nvml.h"

enum { EL_TOP_MODELS = 16, EL_TOP_NAME = 64, EL_TOP_ALERTS = 16 };

// A model of the server.
struct el_top_model {
    char name[EL_TOP_NAME], device[32], precision[16];
    double weight_bytes, queue_inputs, queue_tokens, tokens; // tokens since it was loaded
    double tokens_per_s;                                     // since the look before; negative: not known yet
    double rejoins;                                          // devices that were given up and taken back
};

// An alert that the server raises on a device.
struct el_top_alert {
    char device[32], kind[32]; // "cuda:0", "memory"
};

// A device that a model has given up.
struct el_top_given_up {
    char device[32], model[EL_TOP_NAME];
};

struct el_top_server {
    char url[256];
    bool answers;
    char problem[256]; // why it does not
    struct el_top_model models[EL_TOP_MODELS];
    int model_count;
    struct el_top_alert alerts[EL_TOP_ALERTS];
    int alert_count;
    struct el_top_given_up given_up[EL_TOP_ALERTS];
    int given_up_count;
    double requests_running;
};

// The machine and the server at one moment.
struct el_look {
    int64_t time;                       // seconds since 1970
    uint64_t ns;                        // of el_now_ns
    double busy_pct;                    // of the processors, since the look before; negative: not known yet
    uint64_t memory_total, memory_used; // of the host, bytes
    uint64_t cpu_busy, cpu_all;         // ticks since the start of the system
    int gpu_count;
    const struct el_gpu *gpus[EL_GPU_LIMIT];
    struct el_gpu_reading readings[EL_GPU_LIMIT];
    struct el_top_server server;
};

// Asks the server at server->url for its figures. `api_key` may be NULL. What goes wrong is in `problem`.
void el_top_server_read(const char *api_key, struct el_top_server *server);
// Reads models and queues from Prometheus' text format.
void el_top_server_parse(const char *text, struct el_top_server *server);

// Shows a look as lines of text, as one line of JSON, on the terminal.
void el_top_print(const struct el_look *look);
void el_top_print_json(const struct el_look *look);

bool el_top_screen_open(void); // false: the terminal is unknown
void el_top_screen_draw(const struct el_look *look);
bool el_top_screen_quits(void); // the user has typed q
void el_top_screen_close(void);

#endif
