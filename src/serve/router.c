// SPDX-License-Identifier: Apache-2.0
// Routing over the table of routes.def.
#include "serve/router.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "serve/handlers.h"

#define NEEDS_KEY true
#define OPEN false
const struct el_route el_routes[EL_ROUTE_COUNT] = {
#define ROUTE(name, method, path, access, summary) \
    [EL_ROUTE_##name] = {#name, #method, path, access, summary, el_handle_##name},
#include "serve/routes.def"
#undef ROUTE
};

// True when `path` is one of the route's; *ret_id is where {id} or {name} stands in it, which is never empty.
static bool fits(const struct el_route *route, const char *path, const char **ret_id) {
    const char *brace = strchr(route->path, '{');
    if (!brace) {
        *ret_id = NULL;
        return strcmp(route->path, path) == 0;
    }
    const size_t prefix = (size_t)(brace - route->path);
    if (strncmp(route->path, path, prefix) != 0) return false;
    const char *value = path + prefix;
    const size_t length = el_starts_with(brace, "{id}") ? strlen(value) : strcspn(value, "/");
    *ret_id = value;
    return length && strcmp(value + length, strchr(brace, '}') + 1) == 0;
}

static bool takes(const struct el_route *route, const char *method) {
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

enum el_match el_router_find(const char *method, const char *path, const struct el_route **ret_route,
                             const char **ret_id) {
    const struct el_route *near = NULL;
    for (size_t i = 0; i < EL_ROUTE_COUNT; i++) {
        const char *id;
        if (!fits(&el_routes[i], path, &id)) continue;
        near = &el_routes[i];
        if (!takes(near, method)) continue;
        *ret_route = near;
        *ret_id = id;
        return EL_MATCH;
    }
    if (!near) return EL_MATCH_NONE;
    *ret_route = near;
    return strcmp(method, "OPTIONS") == 0 ? EL_MATCH_OPTIONS : EL_MATCH_WRONG_METHOD;
}

void el_router_allow(const struct el_route *route, char *buffer, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < EL_ROUTE_COUNT && used < size; i++) {
        const struct el_route *other = &el_routes[i];
        if (strcmp(other->path, route->path) != 0) continue;
        used += (size_t)snprintf(buffer + used, size - used, "%s, %s", other->method,
                                 strcmp(other->method, "GET") == 0 ? "HEAD, " : "");
    }
    if (used < size) snprintf(buffer + used, size - used, "OPTIONS");
}
