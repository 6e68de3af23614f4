// SPDX-License-Identifier: Apache-2.0
// One request: its headers, its bytes, what of its failures may be tried again and when.
//
// The token goes to the hub alone: files lie on other hosts, to which the hub redirects, and libcurl sends a
// header of ours named Authorization to the first host only (a test holds it to that).
#include "store/transfer.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"

enum {
    MAX_ATTEMPTS = 5,       // in a row without a new byte
    MAX_ATTEMPTS_EVER = 50, // of one file
    FIRST_PAUSE_MS = 500,   // doubled by each attempt
    LONGEST_PAUSE_MS = 60000,
};

// The value of the header `name`, in `value`, when `line` is it.
static bool header_is(const char *line, size_t length, const char *name, char *value, size_t size) {
    size_t skip = strlen(name);
    if (length <= skip || strncasecmp(line, name, skip) != 0 || line[skip] != ':') return false;
    line += skip + 1;
    length -= skip + 1;
    while (length && isspace((unsigned char)*line))
        line++, length--;
    while (length && isspace((unsigned char)line[length - 1]))
        length--;
    if (length >= size) return false;
    memcpy(value, line, length);
    value[length] = '\0';
    return true;
}

static size_t on_header(char *line, size_t size, size_t count, void *context) {
    struct el_transfer *transfer = context;
    size_t length = size * count;
    char value[256];
    int64_t seconds;
    if (header_is(line, length, "x-linked-etag", value, sizeof value)) {
        char *etag = value + (*value == '"');
        etag[strcspn(etag, "\"")] = '\0';
        el_sha256_copy(etag, transfer->sha256);
    } else if (header_is(line, length, "content-range", value, sizeof value) &&
               el_starts_with(value, "bytes ")) {
        transfer->range_start = strtoull(value + strlen("bytes "), NULL, 10);
    } else if (header_is(line, length, "retry-after", value, sizeof value) &&
               el_parse_i64(value, 0, LONGEST_PAUSE_MS / 1000, &seconds) == 0) {
        transfer->retry_after_s = (long)seconds;
    }
    return length;
}

// The first bytes of an answer to a request for the rest of a file: is it the rest?
static int settle_offset(struct el_transfer *transfer, long code) {
    if (transfer->offset == 0) return 0;
    if (code == 206 && transfer->range_start == transfer->offset) return 0;
    if (code == 206)
        return el_fail(EL_ENET, "%s: asked for the bytes from %" PRIu64 " on, got those from %" PRIu64,
                       transfer->what, transfer->offset, transfer->range_start);
    struct el_progress *progress = transfer->hub->progress;
    el_progress_note(progress, "The hub can't resume %s; fetching all of it again.", transfer->what);
    if (progress) el_progress_set(progress, progress->done - EL_MIN(progress->done, transfer->sink->size));
    return el_sink_restart(transfer->sink);
}

static int take_bytes(struct el_transfer *transfer, const char *bytes, size_t length) {
    uint64_t before = transfer->sink ? transfer->sink->size : transfer->text->length;
    if (length > transfer->limit || before > transfer->limit - length)
        return el_fail(EL_ETOOBIG, "%s is longer than the %" PRIu64 " bytes it should have", transfer->what,
                       transfer->limit);
    if (transfer->text) return el_str_append(transfer->text, bytes, length);
    el_progress_add(transfer->hub->progress, length);
    return el_sink_write(transfer->sink, bytes, length);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
    struct el_transfer *transfer = context;
    size_t length = size * count;
    long code = 0;
    curl_easy_getinfo(transfer->hub->curl, CURLINFO_RESPONSE_CODE, &code);
    if (code >= 300) return length; // an error's page
    int status = transfer->has_body ? 0 : settle_offset(transfer, code);
    transfer->has_body = true;
    if (status == 0) status = take_bytes(transfer, bytes, length);
    transfer->failure = status;
    return status < 0 ? CURL_WRITEFUNC_ERROR : length;
}

static bool may_help_to_retry(const struct el_hub *hub, CURLcode result, long code) {
    switch (result) {
    case CURLE_OK:
        return code == 408 || code == 416 || code == 429 || code == 500 || (code >= 502 && code <= 504);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
        return hub->has_answered;
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return true;
    default:
        return false;
    }
}

static int fail_answer(const struct el_transfer *transfer, long code) {
    const struct el_hub *hub = transfer->hub;
    if (code == 404) return el_fail(EL_ENOENT, "%s has no %s (HTTP 404)", hub->endpoint, transfer->what);
    if (code == 401 || code == 403)
        return el_fail(EL_ENOENT,
                       "%s does not give %s (HTTP %ld): there is no such model, or it is private "
                       "or gated; check the name, %s",
                       hub->endpoint, transfer->what, code,
                       hub->has_token ? "and whether HF_TOKEN is valid and may read it"
                                      : "or set HF_TOKEN to a token that may read it");
    return el_fail(EL_ENET, "%s answers %s with HTTP %ld", hub->endpoint, transfer->what, code);
}

static int fail_connection(const struct el_transfer *transfer, CURLcode result) {
    const struct el_hub *hub = transfer->hub;
    const char *reason = *hub->reason ? hub->reason : curl_easy_strerror(result);
    if (hub->has_answered)
        return el_fail(EL_ENET, "the connection to %s was lost while fetching %s (%s)", hub->endpoint,
                       transfer->what, reason);
    return el_fail(EL_ENET,
                   "cannot reach %s (%s); check the network and the proxy, set HF_ENDPOINT to a "
                   "mirror, or bring the model's files from elsewhere and run `eleanor import PATH`",
                   hub->endpoint, reason);
}

// Sets up the request for what the sink does not have yet.
static void prepare(struct el_transfer *transfer, const char *url) {
    CURL *curl = transfer->hub->curl;
    char range[32];
    transfer->offset = transfer->sink ? transfer->sink->size : 0;
    transfer->has_body = false;
    transfer->failure = 0;
    transfer->retry_after_s = 0;
    transfer->range_start = 0;
    if (transfer->text) el_str_clear(transfer->text);
    transfer->hub->reason[0] = '\0';
    // As a plain range: curl's own way to resume fails where a server sends the whole file instead.
    snprintf(range, sizeof range, "%" PRIu64 "-", transfer->offset);
    curl_easy_setopt(curl, CURLOPT_RANGE, transfer->offset ? range : NULL);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
}

// One try. On failure *ret_again tells whether another may help.
static int try_once(struct el_transfer *transfer, const char *url, bool *ret_again) {
    struct el_hub *hub = transfer->hub;
    prepare(transfer, url);
    CURLcode result = curl_easy_perform(hub->curl);
    long code = 0;
    curl_easy_getinfo(hub->curl, CURLINFO_RESPONSE_CODE, &code);
    hub->has_answered |= code != 0;
    if (transfer->failure < 0) return transfer->failure;
    *ret_again = may_help_to_retry(hub, result, code);
    if (result != CURLE_OK) return fail_connection(transfer, result);
    if (code == 416 && transfer->offset) { // what is here is not the beginning of that file
        int status = el_sink_restart(transfer->sink);
        if (status < 0) return status;
    }
    return code == 200 || code == 206 ? 0 : fail_answer(transfer, code);
}

static void pause_before(struct el_transfer *transfer, int attempt) {
    long pause_ms = EL_MIN((long)FIRST_PAUSE_MS << attempt, (long)LONGEST_PAUSE_MS);
    pause_ms = EL_MAX(pause_ms, transfer->retry_after_s * 1000);
    el_progress_note(transfer->hub->progress, "%s; trying again in %.1f s.", el_error_detail(),
                     (double)pause_ms / 1000);
    struct timespec left = {.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000};
    while (nanosleep(&left, &left) < 0)
        ;
}

int el_transfer_run(struct el_transfer *transfer, const char *url) {
    for (int attempt = 0, ever = 1;; attempt++, ever++) {
        bool again = false;
        uint64_t before = transfer->sink ? transfer->sink->size : 0;
        int status = try_once(transfer, url, &again);
        if (status == 0 || !again) return status;
        if (transfer->sink && transfer->sink->size > before) attempt = 0;
        if (attempt + 1 >= MAX_ATTEMPTS || ever >= MAX_ATTEMPTS_EVER)
            return el_fail(status, "%s; given up after %d tries, the same command goes on from there",
                           el_error_detail(), ever);
        pause_before(transfer, attempt);
    }
}
