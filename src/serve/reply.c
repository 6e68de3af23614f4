// SPDX-License-Identifier: Apache-2.0
// Replies, by libmicrohttpd.
#include "serve/reply.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>

#include "base/mem.h"

void el_reply_done(struct el_reply *reply) {
    el_str_done(&reply->body);
}

void el_reply_fault(struct el_reply *reply, const struct el_fault *fault) {
    el_str_clear(&reply->body);
    reply->status = el_fault_rows[fault->kind].status;
    reply->media_type = EL_MEDIA_JSON;
    reply->retry_ms = fault->retry_ms;
    if (el_fault_write(fault, &reply->body) < 0) el_str_clear(&reply->body);
}

// Seconds for every client, and milliseconds for those that read them (OpenAI's do).
static void add_retry_after(struct MHD_Response *response, int64_t retry_ms) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, (retry_ms + 999) / 1000);
    MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, text);
    snprintf(text, sizeof text, "%" PRId64, retry_ms);
    MHD_add_response_header(response, "retry-after-ms", text);
}

static void add_headers(struct MHD_Response *response, const struct el_reply *reply, bool last) {
    char allow[64];
    if (reply->media_type) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->media_type);
    if (last) MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (reply->retry_ms > 0) add_retry_after(response, reply->retry_ms);
    if (reply->status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (!reply->allow) return;
    el_router_allow(reply->allow, allow, sizeof allow);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
}

bool el_reply_send(struct el_reply *reply, struct MHD_Connection *connection, bool last) {
    struct MHD_Response *response =
        reply->body.length ? MHD_create_response_from_buffer_with_free_callback(reply->body.length,
                                                                                reply->body.data, el_free)
                           : MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!response) return false;
    if (reply->body.length) reply->body = (struct el_str){0}; // the response frees it
    add_headers(response, reply, last);
    enum MHD_Result queued = MHD_queue_response(connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    return queued == MHD_YES;
}
