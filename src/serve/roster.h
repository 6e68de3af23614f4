// SPDX-License-Identifier: Apache-2.0
// The models that are served: found when the server opens, loaded in the background by one thread.
#ifndef EL_SERVE_ROSTER_H
#define EL_SERVE_ROSTER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "device/manager/manager.h"
#include "service/embed.h"

struct el_model {
    char *name;                             // canonical
    char *given;                            // as the config has it: another alias
    char *path;                             // folder
    const char *const *aliases;             // static, up to a NULL
    int64_t created;                        // seconds since 1970, of the server's start
    _Atomic(struct el_embedder *) embedder; // NULL until loaded
};

struct el_roster {
    struct el_model *models;
    size_t count;
    const struct el_config *config;
    struct el_manager *manager; // of the devices that the models are on
    bool loading;               // the thread was started
    pthread_t loader;
    // Of the loader:
    void (*notify)(void *context); // called, from the loader's thread, when it is through
    void *context;
    atomic_bool through; // all models are loaded or one has failed
    int status;          // of the one that failed; read after `through`
    char detail[512];
};

// Finds the folders. EL_ENOENT says how to get the model. Free with el_roster_done, also after a failure.
int el_roster_init(struct el_roster *roster, const struct el_config *config, struct el_manager *manager);
// Waits for the loader.
void el_roster_done(struct el_roster *roster);

// Starts to load. EL_ENOMEM.
int el_roster_load(struct el_roster *roster, void (*notify)(void *context), void *context);

bool el_roster_ready(const struct el_roster *roster); // all are loaded

// By name, alias or hub id, case ignored; NULL is the first model. NULL when there is none.
struct el_model *el_roster_find(const struct el_roster *roster, const char *name);

#endif
