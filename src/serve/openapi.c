// SPDX-License-Identifier: Apache-2.0
// /openapi.json. Paths, methods, keys and summaries come from routes.def; what each route takes and gives,
// and the schemas, from openapi.json beside this file, which is built in; the limits from the configuration
// and the models.
#include <ctype.h>
#include <jansson.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "generated/openapi_json.h"
#include "serve/exchange.h"
#include "serve/handlers.h"
#include "serve/server.h"

// jansson's setters take NULL for a value that could not be made and say so by -1; what is missing then shows
// when the document is written, so that only that is checked.

// The operation of a route, in the document's form. A new reference.
static json_t *make_operation(const struct el_route *route, json_t *operations, bool keys) {
    json_t *operation = json_incref(json_object_get(operations, route->name));
    json_object_set_new(operation, "operationId", json_string(route->name));
    json_object_set_new(operation, "summary", json_string(route->summary));
    if (!keys || !route->needs_key) return operation;
    json_object_set_new(operation, "security", json_pack("[{s:[]}]", "key"));
    json_object_set_new(json_object_get(operation, "responses"), "401",
                        json_pack("{s:s, s:{s:{s:{s:s}}}}", "description", "The API key is missing or wrong",
                                  "content", EL_MEDIA_JSON, "schema", "$ref", "#/components/schemas/Error"));
    return operation;
}

static void add_paths(json_t *document, bool keys) {
    json_t *paths = json_object(), *operations = json_object_get(document, "operations");
    for (size_t i = 0; i < EL_ROUTE_COUNT; i++) {
        const struct el_route *route = &el_routes[i];
        char method[8] = {0};
        for (size_t c = 0; c < sizeof method - 1 && route->method[c]; c++)
            method[c] = (char)tolower(route->method[c]);
        if (!json_object_get(paths, route->path)) json_object_set_new(paths, route->path, json_object());
        json_object_set_new(json_object_get(paths, route->path), method,
                            make_operation(route, operations, keys));
    }
    json_object_set_new(document, "paths", paths);
    json_object_del(document, "operations");
}

static void set_limit(json_t *schema, const char *name, int64_t value) {
    json_object_set_new(schema, name, json_integer(value));
}

// What every model takes, and the configuration allows.
static void add_limits(json_t *schemas, const struct el_server *server) {
    int64_t inputs = server->config->max_inputs, dimensions = INT32_MAX, vocabulary = INT32_MAX;
    json_t *request = json_object_get(json_object_get(schemas, "EmbeddingsRequest"), "properties");
    for (size_t i = 0; i < server->roster.count; i++) {
        struct el_embedder *embedder = atomic_load(&server->roster.models[i].embedder);
        struct el_embed_info info;
        if (!embedder) continue;
        el_embedder_info(embedder, &info);
        dimensions = EL_MIN(dimensions, info.dim);
        vocabulary = EL_MIN(vocabulary, info.vocab_size);
    }
    set_limit(json_object_get(schemas, "Texts"), "maxItems", inputs);
    set_limit(json_object_get(schemas, "TokenIdArrays"), "maxItems", inputs);
    set_limit(json_object_get(schemas, "TextDocuments"), "maxItems", inputs);
    set_limit(json_object_get(schemas, "VectorDocuments"), "maxItems", inputs);
    set_limit(json_object_get(schemas, "QuestionTexts"), "maxItems", inputs);
    set_limit(json_object_get(schemas, "QuestionVectors"), "maxItems", inputs);
    set_limit(json_object_get(schemas, "DocumentIds"), "maxItems", inputs);
    set_limit(json_object_get(json_object_get(schemas, "TokenIds"), "items"), "maximum", vocabulary - 1);
    set_limit(json_object_get(request, "dimensions"), "maximum", dimensions);
}

static int append(const char *bytes, size_t length, void *str) {
    return el_str_append(str, bytes, length);
}

static int put_document(struct el_str *str, const struct el_server *server) {
    bool keys = server->keys.count > 0;
    json_t *document el_auto_json = NULL;
    EL_TRY(el_json_parse("openapi.json", openapi_json, sizeof openapi_json, &document));
    json_t *components = json_object_get(document, "components");
    json_object_set_new(json_object_get(document, "info"), "version", json_string(EL_VERSION));
    json_object_set_new(document, "servers", json_pack("[{s:s}]", "url", server->url));
    if (keys)
        json_object_set_new(components, "securitySchemes",
                            json_pack("{s:{s:s, s:s}}", "key", "type", "http", "scheme", "bearer"));
    add_paths(document, keys);
    add_limits(json_object_get(components, "schemas"), server);
    bool whole = json_object_size(json_object_get(document, "paths")) > 0;
    if (!whole || json_dump_callback(document, append, str, JSON_COMPACT) < 0)
        return el_fail(EL_ENOMEM, "no memory for /openapi.json");
    return el_str_putc(str, '\n');
}

void el_handle_openapi(struct el_exchange *exchange) {
    exchange->reply.status = 200;
    exchange->reply.media_type = EL_MEDIA_JSON;
    int status = put_document(&exchange->reply.body, exchange->server);
    if (status < 0) el_fault_from_status(&exchange->fault, status, NULL);
}
