// SPDX-License-Identifier: Apache-2.0
// `index create`: what the index is of is said by the flags, or by the model.
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cmd/index/index.h"
#include "cmd/model.h"
#include "store/store.h"

// The name that is kept: the store's, or a folder's whole path.
static int name_model(const char *given, char *ret_name) {
    char *canonical el_auto_free = NULL;
    char real[PATH_MAX];
    EL_TRY(el_store_canonical(given, &canonical));
    const bool is_path = strchr("./", *given) || (strchr(given, '/') && realpath(given, real));
    const char *name = is_path && realpath(given, real) ? real : canonical;
    if (strlen(name) >= EL_VECTOR_MODEL_SIZE)
        return el_fail(EL_ETOOBIG, "the model's name has over %d bytes: %s", EL_VECTOR_MODEL_SIZE - 1, name);
    memcpy(ret_name, name, strlen(name) + 1);
    return 0;
}

// With --dim alone the index takes vectors; else it has a model, which says how many dimensions there are.
static int find_facts(const struct el_config *config, const struct el_index_wish *wish,
                      struct el_vector_facts *ret_facts) {
    struct el_vector_facts facts = {.dim = (int)wish->dim, .metric = EL_METRIC_COSINE};
    struct el_cmd_model model = {0};
    if (wish->metric) EL_TRY(el_metric_parse(wish->metric, &facts.metric));
    if (wish->kind) EL_TRY(el_index_kind_parse(wish->kind, &facts.kind));
    facts.recall = (float)wish->recall;
    if (wish->store && facts.kind != EL_INDEX_FLAT)
        return el_fail(EL_EINVAL, "--kind %s: an index in a store elsewhere has that store's own",
                       wish->kind);
    if (wish->model || !wish->dim) {
        if (config->model.count != 1) return el_fail(EL_EINVAL, "one --model, or --dim, is wanted");
        EL_TRY(name_model(config->model.item[0], facts.model));
        int status = el_cmd_model_open(config, facts.model, NULL, &model);
        if (status == 0) facts.dim = el_embedder_dim(model.embedder);
        el_cmd_model_close(&model);
        if (status < 0) return status;
        if (wish->dim && wish->dim != facts.dim)
            return el_fail(EL_EINVAL, "--dim %" PRId64 ": %s makes vectors of %d dimensions", wish->dim,
                           facts.model, facts.dim);
    }
    *ret_facts = facts;
    return 0;
}

int el_index_make(const struct el_config *config, const struct el_index_wish *wish) {
    struct el_vector_facts facts;
    EL_TRY(el_search_name_check(wish->name));
    EL_TRY(find_facts(config, wish, &facts));
    EL_TRY(el_search_create(wish->root, wish->name, wish->store, &facts));
    if (wish->json)
        printf("{\"name\":\"%s\",\"dim\":%d,\"metric\":\"%s\"}\n", wish->name, facts.dim,
               el_metric_name(facts.metric));
    else
        printf("%s made: %d dimensions, %s%s%s\n", wish->name, facts.dim, el_metric_name(facts.metric),
               *facts.model ? ", " : "", facts.model);
    return 0;
}
