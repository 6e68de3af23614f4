// SPDX-License-Identifier: Apache-2.0
// The page at /: what runs here and how to call it.
#include <string.h>

#include "base/error.h"
#include "serve/exchange.h"
#include "serve/handlers.h"
#include "serve/server.h"

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, "
    "initial-scale=1\">\n<title>eleanor</title>\n<style>\n"
    ":root{color-scheme:light dark;--line:#8884;--soft:#8881}\n"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}\n"
    "h1{margin-bottom:0}h1 small{font-weight:400;font-size:1rem;opacity:.6}\n"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .8rem .4rem 0;"
    "border-bottom:1px solid var(--line)}\n"
    "pre{background:var(--soft);padding:1rem;border-radius:.5rem;overflow-x:auto}code{font-size:.9em}\n"
    "</style>\n</head>\n<body>\n";

static int put_escaped(struct el_str *str, const char *text) {
    for (; *text; text++) {
        const char *entity = *text == '&'   ? "&amp;"
                             : *text == '<' ? "&lt;"
                             : *text == '>' ? "&gt;"
                             : *text == '"' ? "&quot;"
                                            : NULL;
        EL_TRY(entity ? el_str_puts(str, entity) : el_str_putc(str, *text));
    }
    return 0;
}

static int put_model(struct el_str *str, const struct el_model *model) {
    struct el_embedder *embedder = atomic_load(&model->embedder);
    struct el_embed_info info;
    EL_TRY(el_str_puts(str, "<tr><td><b>"));
    EL_TRY(put_escaped(str, model->name));
    if (!embedder) return el_str_puts(str, "</b></td><td colspan=\"3\">loading&hellip;</td></tr>\n");
    el_embedder_info(embedder, &info);
    return el_str_printf(str, "</b></td><td>%d</td><td>%d</td><td>%s on %s (%s)</td></tr>\n", info.dim,
                         info.max_tokens, info.precision, info.devices, info.place.ops);
}

static int put_models(struct el_str *str, const struct el_roster *roster) {
    EL_TRY(el_str_puts(
        str, "<table>\n<tr><th>Model</th><th>Dimensions</th><th>Tokens</th><th>Runs as</th></tr>\n"));
    for (size_t i = 0; i < roster->count; i++)
        EL_TRY(put_model(str, &roster->models[i]));
    return el_str_puts(str, "</table>\n");
}

static int put_example(struct el_str *str, const struct el_server *server) {
    const char *model = server->roster.models[0].name;
    EL_TRY(el_str_puts(str, "<h2>Call it</h2>\n<pre><code>curl "));
    EL_TRY(put_escaped(str, server->url));
    EL_TRY(el_str_puts(str, "/v1/embeddings \\\n"));
    if (server->keys.count) EL_TRY(el_str_puts(str, "  -H 'Authorization: Bearer KEY' \\\n"));
    EL_TRY(el_str_puts(str, "  -H 'Content-Type: application/json' \\\n  -d '{\"model\": \""));
    EL_TRY(put_escaped(str, model));
    EL_TRY(el_str_puts(str, "\", \"input\": \"The river rose at dusk.\"}'</code></pre>\n"
                            "<p>Or with OpenAI's Python client:</p>\n<pre><code>from openai import OpenAI\n\n"
                            "client = OpenAI(base_url=\""));
    EL_TRY(put_escaped(str, server->url));
    EL_TRY(el_str_printf(str, "/v1\", api_key=\"%s\")\nreply = client.embeddings.create(model=\"",
                         server->keys.count ? "KEY" : "none"));
    EL_TRY(put_escaped(str, model));
    return el_str_puts(str, "\", input=[\"one text\", \"another\"])\n"
                            "print(reply.data[0].embedding)</code></pre>\n");
}

static int put_routes(struct el_str *str) {
    EL_TRY(el_str_puts(str, "<h2>What is here</h2>\n<table>\n"));
    for (size_t i = 0; i < EL_ROUTE_COUNT; i++)
        EL_TRY(el_str_printf(str, "<tr><td><code>%s %s</code></td><td>%s</td></tr>\n", el_routes[i].method,
                             el_routes[i].path, el_routes[i].summary));
    return el_str_puts(str, "</table>\n</body>\n</html>\n");
}

static int put_page(struct el_str *str, const struct el_server *server) {
    EL_TRY(el_str_puts(str, head));
    EL_TRY(
        el_str_puts(str, "<h1>eleanor <small>" EL_VERSION "</small></h1>\n<p>Texts in, vectors out.</p>\n"));
    EL_TRY(put_models(str, &server->roster));
    EL_TRY(put_example(str, server));
    return put_routes(str);
}

void el_handle_page(struct el_exchange *exchange) {
    exchange->reply.status = 200;
    exchange->reply.media_type = EL_MEDIA_HTML;
    int status = put_page(&exchange->reply.body, exchange->server);
    if (status < 0) el_fault_from_status(&exchange->fault, status, NULL);
}
