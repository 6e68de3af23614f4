// SPDX-License-Identifier: Apache-2.0
// Replies, by libmicrohttpd, and what it replies by itself.
#include "serve/reply.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

enum { ENVELOPE_BYTES = 512 }; // most errors take fewer

void el_reply_done(struct el_reply *reply) {
    el_str_done(&reply->body);
}

void el_reply_fault(struct el_reply *reply, const struct el_fault *fault) {
    el_str_clear(&reply->body);
    reply->status = el_fault_rows[fault->kind].status;
    reply->media_type = EL_MEDIA_JSON;
    reply->retry_ms = fault->retry_ms;
    el_str_reserve(&reply->body, ENVELOPE_BYTES); // all at once; without memory the writing says so
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
    struct el_str body = reply->body;
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback(body.length, body.data, el_free);
    if (!response) return false;
    reply->body = (struct el_str){0}; // the response frees it
    add_headers(response, reply, last);
    enum MHD_Result queued = MHD_queue_response(connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    return queued == MHD_YES;
}

// ---- libmicrohttpd's own replies ----

// The text of a small page between <body> and </body>, without tags and entities.
static int put_page_text(struct el_str *str, const char *page) {
    const char *start = strstr(page, "<body>");
    bool in_tag = false;
    for (const char *p = start ? start : page; *p; p++) {
        bool entity = *p == '&' && strchr(p, ';');
        if (entity) p = strchr(p, ';');
        in_tag = (in_tag && *p != '>') || *p == '<';
        if (!in_tag && *p != '>') EL_TRY(el_str_putc(str, entity ? '\'' : *p));
    }
    return 0;
}

// What cannot be read as a request (no HTTP, a header too large, a wrong chunk) libmicrohttpd answers without
// asking us, with an HTML page for which it calls this function. Every other user of it is in this folder and
// uses the variant with a callback; so this definition, which the dynamic linker prefers over the library's,
// puts those answers into the envelope that all others have.
struct MHD_Response *MHD_create_response_from_buffer(size_t size, void *buffer,
                                                     enum MHD_ResponseMemoryMode mode) {
    (void)size, (void)mode; // a constant string, always
    el_auto(el_str_done) struct el_str text = {0};
    struct el_str body = {0};
    struct el_fault fault;
    put_page_text(&text, buffer); // without memory: fewer words
    el_fault_set(&fault, EL_FAULT_MALFORMED_REQUEST, NULL, "%s",
                 text.length ? text.data : "malformed request");
    if (el_fault_write(&fault, &body) < 0) el_str_clear(&body);
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback(body.length, body.data, el_free);
    if (response) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, EL_MEDIA_JSON);
    return response;
}
