// SPDX-License-Identifier: Apache-2.0
// What is served: /v1/models.
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "serve/exchange.h"
#include "serve/handlers.h"
#include "serve/server.h"

static int put_member(struct el_str *str, const char *name, const char *value) {
    EL_TRY(el_str_printf(str, "\"%s\":", name));
    return el_str_put_json(str, value, strlen(value));
}

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
    el_exchange_reply_json(exchange, 200, put_models(&exchange->reply.body, &exchange->server->roster));
}

void el_handle_get_model(struct el_exchange *exchange) {
    const struct el_model *model = el_roster_find(&exchange->server->roster, exchange->id);
    if (model) {
        el_exchange_reply_json(exchange, 200, put_model(&exchange->reply.body, model));
        return;
    }
    el_fault_set(&exchange->fault, EL_FAULT_NO_MODEL, "model", "model \"%.100s\" is not served here",
                 exchange->id);
}
