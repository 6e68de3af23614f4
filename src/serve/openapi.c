// SPDX-License-Identifier: Apache-2.0
// /openapi.json: paths, methods, keys and summaries come from routes.def; what each route takes and gives is
// here.
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "serve/exchange.h"
#include "serve/handlers.h"
#include "serve/server.h"

#define JSON_OF(schema) "{\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/" schema "\"}}}"
#define ANSWER(status, text, schema) \
    "\"" status "\":{\"description\":\"" text "\",\"content\":" JSON_OF(schema) "}"
#define ERROR(status, text) ANSWER(status, text, "Error")
#define RETRY(status, text)                                                                           \
    "\"" status "\":{\"description\":\"" text                                                         \
    "\",\"content\":" JSON_OF("Error") ",\"headers\":{\"Retry-After\":{\"description\":\"seconds to " \
                                       "wait\",\"schema\":{\"type\":\"integer\"}}}}"
#define TEXT(media, text) \
    "\"200\":{\"description\":\"" text "\",\"content\":{\"" media "\":{\"schema\":{\"type\":\"string\"}}}}"

// Per route: request parts, then responses without the 401 that goes with a key.
static const struct {
    const char *request, *responses;
} operations[EL_ROUTE_COUNT] = {
    [EL_ROUTE_create_embeddings] =
        {"\"requestBody\":{\"required\":true,\"content\":" JSON_OF("EmbeddingsRequest") "},",
         ANSWER("200", "One vector per input, in order", "Embeddings") "," ERROR(
             "400",
             "The body is not "
             "what is asked for; "
             "error.param names "
             "the member") "," ERROR("404",
                                     "No such model is served") "," ERROR("413",
                                                                          "More bytes, inputs or "
                                                                          "token ids than are "
                                                                          "taken") "," ERROR("415",
                                                                                             "The "
                                                                                             "body"
                                                                                             " is "
                                                                                             "not "
                                                                                             "JSO"
                                                                                             "N") "," RETRY("429",
                                                                                                            "The queue is full") "," RETRY("503",
                                                                                                                                           "Loading, shutting down or out "
                                                                                                                                           "of memory") "," ERROR("500",
                                                                                                                                                                  "The "
                                                                                                                                                                  "computa"
                                                                                                                                                                  "tion "
                                                                                                                                                                  "faile"
                                                                                                                                                                  "d")},
    [EL_ROUTE_list_models] = {"", ANSWER("200", "The models", "Models")},
    [EL_ROUTE_get_model] = {"\"parameters\":[{\"name\":\"id\",\"in\":\"path\",\"required\":true,"
                            "\"schema\":{\"type\":\"string\",\"minLength\":1}}],",
                            ANSWER("200", "The model", "Model") "," ERROR("404", "No such model is served")},
    [EL_ROUTE_health] = {"", ANSWER("200", "All is well", "Health") "," ANSWER("503", "Not ready", "Health")},
    [EL_ROUTE_livez] = {"", ANSWER("200", "Alive", "Status")},
    [EL_ROUTE_readyz] = {"",
                         ANSWER("200", "Ready", "Status") "," ANSWER("503", "Loading or draining", "Status")},
    [EL_ROUTE_metrics] = {"", TEXT("text/plain", "Prometheus' text format")},
    [EL_ROUTE_openapi] = {"", "\"200\":{\"description\":\"This "
                              "document\",\"content\":{\"application/json\":{\"schema\":{\"type\":"
                              "\"object\"}}}}"},
    [EL_ROUTE_page] = {"", TEXT("text/html", "The page")},
};

static const char schemas[] =
    "\"Error\":{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{\"type\":\"object\","
    "\"required\":[\"message\",\"type\",\"param\",\"code\"],\"properties\":{\"message\":{\"type\":\"string\"}"
    ","
    "\"type\":{\"type\":\"string\"},\"param\":{\"type\":[\"string\",\"null\"]},\"code\":{\"type\":["
    "\"string\","
    "\"null\"]}}}}},"
    "\"Embeddings\":{\"type\":\"object\",\"required\":[\"object\",\"data\",\"model\",\"usage\"],"
    "\"properties\":{"
    "\"object\":{\"const\":\"list\"},\"data\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":["
    "\"object\",\"index\",\"embedding\"],\"properties\":{\"object\":{\"const\":\"embedding\"},\"index\":{"
    "\"type\":"
    "\"integer\"},\"embedding\":{\"description\":\"numbers, or base64 of little-endian 32-bit "
    "floats\",\"anyOf\":["
    "{\"type\":\"array\",\"items\":{\"type\":\"number\"}},{\"type\":\"string\"}]}}}},\"model\":{\"type\":"
    "\"string\"},"
    "\"usage\":{\"type\":\"object\",\"required\":[\"prompt_tokens\",\"total_tokens\"],\"properties\":{"
    "\"prompt_tokens\":{\"type\":\"integer\"},\"total_tokens\":{\"type\":\"integer\"}}}}},"
    "\"Model\":{\"type\":\"object\",\"required\":[\"id\",\"object\",\"created\",\"owned_by\",\"aliases\"],"
    "\"properties\":{\"id\":{\"type\":\"string\"},\"object\":{\"const\":\"model\"},\"created\":{\"type\":"
    "\"integer\"},"
    "\"owned_by\":{\"type\":\"string\"},\"aliases\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
    "\"dimensions\":{\"type\":\"integer\"},\"max_input_tokens\":{\"type\":\"integer\"}}},"
    "\"Models\":{\"type\":\"object\",\"required\":[\"object\",\"data\"],\"properties\":{\"object\":{"
    "\"const\":\"list\"},"
    "\"data\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Model\"}}}},"
    "\"Status\":{\"type\":\"object\",\"required\":[\"status\"],\"properties\":{\"status\":{\"enum\":[\"ok\","
    "\"loading\",\"draining\",\"failed\"]}}},"
    "\"Health\":{\"type\":\"object\",\"required\":[\"status\",\"version\",\"uptime_s\",\"models\"],"
    "\"properties\":{"
    "\"status\":{\"enum\":[\"ok\",\"loading\",\"draining\",\"failed\"]},\"version\":{\"type\":\"string\"},"
    "\"uptime_s\":{\"type\":\"integer\"},\"models\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":["
    "\"name\",\"loaded\"],\"properties\":{\"name\":{\"type\":\"string\"},\"loaded\":{\"type\":\"boolean\"}}}}"
    "}}";

// The request's schema holds what this server's limits and models are.
static int put_request_schema(struct el_str *str, const struct el_server *server) {
    int dimensions = 1, vocabulary = 1;
    bool known = false;
    for (size_t i = 0; i < server->roster.count; i++) {
        struct el_embedder *embedder = atomic_load(&server->roster.models[i].embedder);
        struct el_embed_info info;
        if (!embedder) continue;
        el_embedder_info(embedder, &info);
        dimensions = known ? EL_MIN(dimensions, info.dim) : info.dim; // what every model takes
        vocabulary = known ? EL_MIN(vocabulary, info.vocab_size) : info.vocab_size;
        known = true;
    }
    long long inputs = server->config->max_inputs;
    EL_TRY(el_str_puts(str,
                       "\"EmbeddingsRequest\":{\"type\":\"object\",\"required\":[\"input\"],\"properties\":{"
                       "\"input\":{\"anyOf\":[{\"type\":\"string\",\"minLength\":1},"));
    EL_TRY(el_str_printf(
        str,
        "{\"type\":\"array\",\"minItems\":1,\"maxItems\":%lld,\"items\":{\"type\":\"string\","
        "\"minLength\":1}},{\"$ref\":\"#/components/schemas/TokenIds\"},{\"type\":\"array\","
        "\"minItems\":1,\"maxItems\":%lld,\"items\":{\"$ref\":\"#/components/schemas/TokenIds\"}}]},",
        inputs, inputs));
    EL_TRY(
        el_str_printf(str,
                      "\"model\":{\"type\":[\"string\",\"null\"],\"description\":\"name or alias; the first "
                      "model when left out\"},\"encoding_format\":{\"enum\":[\"float\",\"base64\",null],"
                      "\"default\":\"float\"},\"dimensions\":{\"type\":[\"integer\",\"null\"],\"minimum\":1,"
                      "\"maximum\":%d},\"user\":{\"type\":[\"string\",\"null\"]},\"truncate\":{\"type\":["
                      "\"boolean\",\"null\"],\"default\":true,\"description\":\"false: refuse texts over the "
                      "model's limit\"},",
                      dimensions));
    EL_TRY(el_str_puts(
        str, "\"prompt_name\":{\"type\":\"null\",\"description\":\"name of one of the model's prompts; "
             "null: its default\"}}},"));
    return el_str_printf(
        str,
        "\"TokenIds\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":%lld,\"items\":{\"type\":"
        "\"integer\",\"minimum\":0,\"maximum\":%d}},",
        inputs, vocabulary - 1);
}

static int put_operation(struct el_str *str, size_t index, bool keys) {
    const struct el_route *route = &el_routes[index];
    char method[8] = {0};
    for (size_t i = 0; route->method[i] && i < sizeof method - 1; i++)
        method[i] = (char)(route->method[i] | 0x20); // lower case
    EL_TRY(el_str_printf(str, "\"%s\":{\"operationId\":\"%s\",\"summary\":\"%s\",%s", method, route->name,
                         route->summary, operations[index].request));
    bool locked = keys && route->needs_key;
    if (locked) EL_TRY(el_str_puts(str, "\"security\":[{\"key\":[]}],"));
    EL_TRY(el_str_printf(str, "\"responses\":{%s", operations[index].responses));
    if (locked) EL_TRY(el_str_puts(str, "," ERROR("401", "The API key is missing or wrong")));
    return el_str_puts(str, "}}");
}

// Routes of one path stand together in the table.
static int put_paths(struct el_str *str, bool keys) {
    for (size_t i = 0; i < EL_ROUTE_COUNT; i++) {
        bool same = i > 0 && strcmp(el_routes[i - 1].path, el_routes[i].path) == 0;
        if (same)
            EL_TRY(el_str_putc(str, ','));
        else
            EL_TRY(el_str_printf(str, "%s\"%s\":{", i ? "}," : "", el_routes[i].path));
        EL_TRY(put_operation(str, i, keys));
    }
    return el_str_putc(str, '}');
}

static int put_document(struct el_str *str, const struct el_server *server) {
    bool keys = server->keys.count > 0;
    EL_TRY(el_str_puts(str,
                       "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"eleanor\",\"version\":\"" EL_VERSION
                       "\",\"description\":\"Text in, vectors out.\",\"license\":{\"name\":\"Apache-2.0\","
                       "\"identifier\":\"Apache-2.0\"}},\"servers\":[{\"url\":"));
    EL_TRY(el_str_put_json(str, server->url, strlen(server->url)));
    EL_TRY(el_str_puts(str, "}],\"paths\":{"));
    EL_TRY(put_paths(str, keys));
    EL_TRY(el_str_puts(str, "},\"components\":{"));
    if (keys)
        EL_TRY(el_str_puts(str, "\"securitySchemes\":{\"key\":{\"type\":\"http\",\"scheme\":\"bearer\"}},"));
    EL_TRY(el_str_puts(str, "\"schemas\":{"));
    EL_TRY(put_request_schema(str, server));
    return el_str_printf(str, "%s}}}\n", schemas);
}

void el_handle_openapi(struct el_exchange *exchange) {
    exchange->reply.status = 200;
    exchange->reply.media_type = EL_MEDIA_JSON;
    int status = put_document(&exchange->reply.body, exchange->server);
    if (status < 0) el_fault_from_status(&exchange->fault, status, NULL);
}
