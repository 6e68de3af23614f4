// SPDX-License-Identifier: Apache-2.0
// What is sent back: status, body and the few headers that vary.
#ifndef EL_SERVE_REPLY_H
#define EL_SERVE_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "serve/fault.h"
#include "serve/router.h"

struct el_reply {
    int status; // of HTTP; 0: not yet made
    struct el_str body;
    const char *media_type;       // static; NULL without a body
    const struct el_route *allow; // names the methods of this route's path, or NULL
    int64_t retry_ms;             // 0: no Retry-After
};

void el_reply_done(struct el_reply *reply);

// The error envelope; when there is no memory even for that, an empty body with the status.
void el_reply_fault(struct el_reply *reply, const struct el_fault *fault);

#define EL_MEDIA_JSON "application/json"
#define EL_MEDIA_HTML "text/html; charset=utf-8"
#define EL_MEDIA_METRICS "text/plain; version=0.0.4; charset=utf-8"

struct MHD_Connection;
// Queues the reply and empties it. `last`: the connection closes after it. False when the connection is to be
// cut because there is no memory.
bool el_reply_send(struct el_reply *reply, struct MHD_Connection *connection, bool last);

#endif
