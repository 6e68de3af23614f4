// SPDX-License-Identifier: Apache-2.0
// The handlers of routes.def, one per row. Each runs in the event loop when the whole request is there, and
// either fills the reply or hands the request to the service (only el_handle_create_embeddings).
#ifndef EL_SERVE_HANDLERS_H
#define EL_SERVE_HANDLERS_H

#include "serve/router.h"

#define ROUTE(name, method, path, access, summary) el_handler_fn el_handle_##name;
#include "serve/routes.def"
#undef ROUTE

#endif
