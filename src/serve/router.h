// SPDX-License-Identifier: Apache-2.0
// Which handler answers a method and a path; the table is routes.def.
#ifndef EL_SERVE_ROUTER_H
#define EL_SERVE_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

struct el_exchange;
typedef void el_handler_fn(struct el_exchange *exchange);

struct el_route {
    const char *name; // "create_embeddings": the operationId
    const char *method;
    const char *path;
    bool needs_key;
    const char *summary;
    el_handler_fn *handle;
};

enum el_route_index {
#define ROUTE(name, method, path, access, summary) EL_ROUTE_##name,
#include "serve/routes.def"
#undef ROUTE
    EL_ROUTE_COUNT
};
extern const struct el_route el_routes[EL_ROUTE_COUNT];

enum el_match { EL_MATCH, EL_MATCH_OPTIONS, EL_MATCH_WRONG_METHOD, EL_MATCH_NONE };

// EL_MATCH: *ret_route is set, and *ret_id to what stands for {id} or {name} (within `path`, up to its end or
// the next slash), or NULL. OPTIONS and a
// wrong method: *ret_route is a route of that path.
enum el_match el_router_find(const char *method, const char *path, const struct el_route **ret_route,
                             const char **ret_id);

// "GET, HEAD, OPTIONS": what the path of `route` allows.
void el_router_allow(const struct el_route *route, char *buffer, size_t size);

#endif
