// SPDX-License-Identifier: Apache-2.0
// `eleanor serve`: gathers the settings and hands them to the server.
#include "serve/serve.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"

static int print_config(const struct el_args *args, const struct el_config *config, bool json) {
    struct el_str text el_auto(el_str_done) = {0};
    if (el_config_print(config, json, &text) < 0) return el_cmd_failed(args);
    fwrite(text.data, 1, text.length, stdout);
    return EL_EXIT_DONE;
}

static void print_address(void *context, struct el_server *server) {
    (void)context;
    puts(el_server_url(server));
    fflush(stdout);
}

static int serve(const struct el_config *config) {
    struct el_server *server;
    int status = el_server_open(config, &server);
    if (status < 0) return status;
    status = el_server_run(server, print_address, NULL);
    el_server_close(server);
    return status;
}

static int run(struct el_args *args) {
    struct el_config config el_auto(el_config_done) = {0};
    bool print = false, json = false;
    struct el_args walk = *args;
    for (const char *flag, *value; el_args_next(&walk, &flag, &value) > 0;) {
        print |= el_streq(flag, "print-config");
        json |= el_streq(flag, "json");
    }
    if (el_args_config(args, &config) < 0) return el_cmd_usage(args);
    if (print) return print_config(args, &config, json);
    return serve(&config) < 0 ? el_cmd_failed(args) : EL_EXIT_DONE;
}

#define SETTING(name, ...) #name,
#define SETTING_STRING SETTING
#define SETTING_SECRET SETTING
#define SETTING_CHOICE SETTING
#define SETTING_LIST SETTING
#define SETTING_INT SETTING
#define SETTING_BYTES SETTING
#define SETTING_BOOL SETTING

const struct el_verb el_verb_serve = {
    .name = "serve",
    .operands = "",
    .summary = "serve models over HTTP",
    .details = "Once requests are answered, one line on standard output holds the address. SIGTERM and "
               "SIGINT finish\n"
               "what is in flight, then end the server.",
    .flags =
        (const struct el_flag[]){{"print-config", 0, NULL, "print the settings that hold, and their origins"},
                                 {"json", 0, NULL, "print them as a JSON object"},
                                 {0}},
    .settings =
        (const char *const[]){
#include "config/settings.def"
            NULL},
    .run = run,
};
