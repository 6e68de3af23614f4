// SPDX-License-Identifier: Apache-2.0
// The hub's two requests, with redirects, resumption and retries.
//
// The token goes to the hub alone: files lie on other hosts, to which the hub redirects, and libcurl sends a
// header of ours named Authorization to the first host only (a test holds it to that).
#include "store/hub.h"

#include <ctype.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "eleanor/eleanor.h"

enum {
    LISTING_LIMIT = 16 << 20, // bytes of the JSON that lists a repository
    MAX_FILES = 100000,       // of a repository
    MAX_REDIRECTS = 10,
    MAX_ATTEMPTS = 5,       // in a row without a new byte
    MAX_ATTEMPTS_EVER = 50, // of one file
    FIRST_PAUSE_MS = 500,   // doubled by each attempt
    LONGEST_PAUSE_MS = 60000,
    CONNECT_TIMEOUT_S = 15,
    STALL_TIMEOUT_S = 30, // without a byte
};

struct el_hub {
    char *endpoint; // "https://host", without a slash at the end
    CURL *curl;
    struct curl_slist *headers; // the token
    bool has_token;
    bool has_answered; // once: then a lost connection is worth another try
    struct el_progress *progress;
    char reason[CURL_ERROR_SIZE]; // curl's, of the last failure
};

// One request: where its bytes go, and what its answer said.
struct transfer {
    struct el_hub *hub;
    const char *what; // "model.safetensors of owner/name"
    struct el_sink *sink;
    struct el_str *text; // or
    uint64_t limit;      // bytes in all
    uint64_t offset;     // where the request asks to go on
    int failure;         // what a callback failed with
    bool has_body;
    // of the answer's headers
    char sha256[EL_SHA256_TEXT];
    uint64_t range_start;
    long retry_after_s;
};

static bool is_set(const char *name) {
    const char *value = getenv(name);
    bool on = false;
    return value && *value && el_parse_bool(value, &on) == 0 && on;
}

static int take_endpoint(struct el_hub *hub) {
    const char *value = getenv("HF_ENDPOINT");
    if (!value || !*value) value = "https://huggingface.co";
    if (!el_starts_with(value, "https://") && !el_starts_with(value, "http://"))
        return el_fail(EL_EINVAL, "HF_ENDPOINT is \"%s\", not an address that starts with https://", value);
    size_t length = strlen(value);
    while (value[length - 1] == '/')
        length--;
    return el_strndup(value, length, &hub->endpoint);
}

static int take_token(struct el_hub *hub) {
    const char *value = getenv("HF_TOKEN");
    if (!value) return 0;
    while (isspace((unsigned char)*value))
        value++;
    size_t length = strlen(value);
    while (length && isspace((unsigned char)value[length - 1]))
        length--;
    if (length == 0) return 0;
    for (size_t i = 0; i < length; i++)
        if (!isgraph((unsigned char)value[i]))
            return el_fail(EL_EINVAL, "HF_TOKEN holds a character that no token has, at place %zu", i + 1);
    el_auto(el_str_done) struct el_str header = {0};
    int status = el_str_printf(&header, "Authorization: Bearer %.*s", (int)length, value);
    if (status < 0) return status;
    hub->headers = curl_slist_append(NULL, header.data);
    hub->has_token = true;
    return hub->headers ? 0 : el_fail(EL_ENOMEM, "no memory for the token");
}

static int open_curl(struct el_hub *hub) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(hub->curl = curl_easy_init()))
        return el_fail(EL_ENOMEM, "cannot start libcurl");
    CURL *curl = hub->curl;
    bool secure = el_starts_with(hub->endpoint, "https://");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "eleanor/" EL_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, hub->headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, hub->reason);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_TIMEOUT_S);
    return 0;
}

static void close_p(struct el_hub **hub) {
    el_hub_close(*hub);
}

int el_hub_open(struct el_progress *progress, struct el_hub **ret_hub) {
    el_auto(close_p) struct el_hub *hub = NULL;
    if (is_set("HF_HUB_OFFLINE"))
        return el_fail(EL_ENET, "HF_HUB_OFFLINE is set, so nothing is fetched; bring the model's files from "
                                "elsewhere and run `eleanor import PATH`");
    int status = el_zalloc(1, sizeof *hub, &hub);
    if (status < 0) return status;
    hub->progress = progress;
    status = take_endpoint(hub);
    if (status == 0) status = take_token(hub);
    if (status == 0) status = open_curl(hub);
    if (status < 0) return status;
    *ret_hub = el_steal(hub);
    return 0;
}

void el_hub_close(struct el_hub *hub) {
    if (!hub) return;
    curl_easy_cleanup(hub->curl);
    curl_slist_free_all(hub->headers);
    el_free(hub->endpoint);
    el_free(hub);
}

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
    struct transfer *transfer = context;
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
static int settle_offset(struct transfer *transfer, long code) {
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

static int take_bytes(struct transfer *transfer, const char *bytes, size_t length) {
    uint64_t before = transfer->sink ? transfer->sink->size : transfer->text->length;
    if (length > transfer->limit || before > transfer->limit - length)
        return el_fail(EL_ETOOBIG, "%s is longer than the %" PRIu64 " bytes it should have", transfer->what,
                       transfer->limit);
    if (transfer->text) return el_str_append(transfer->text, bytes, length);
    el_progress_add(transfer->hub->progress, length);
    return el_sink_write(transfer->sink, bytes, length);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
    struct transfer *transfer = context;
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

static int fail_answer(const struct transfer *transfer, long code) {
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

static int fail_connection(const struct transfer *transfer, CURLcode result) {
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
static void prepare(struct transfer *transfer, const char *url) {
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
static int try_once(struct transfer *transfer, const char *url, bool *ret_again) {
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

static void pause_before(struct transfer *transfer, int attempt) {
    long pause_ms = EL_MIN((long)FIRST_PAUSE_MS << attempt, (long)LONGEST_PAUSE_MS);
    pause_ms = EL_MAX(pause_ms, transfer->retry_after_s * 1000);
    el_progress_note(transfer->hub->progress, "%s; trying again in %.1f s.", el_error_detail(),
                     (double)pause_ms / 1000);
    struct timespec left = {.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000};
    while (nanosleep(&left, &left) < 0)
        ;
}

static int request(struct transfer *transfer, const char *url) {
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

// endpoint + format, where the revision is escaped ("refs/pr/1" is one part of the path).
static int make_url(struct el_hub *hub, const char *before, const char *repo, const char *between,
                    const char *revision, const char *after, struct el_str *url) {
    char *escaped = curl_easy_escape(hub->curl, revision, 0);
    if (!escaped) return el_fail(EL_ENOMEM, "no memory for an address");
    int status = el_str_printf(url, "%s%s%s%s%s%s", hub->endpoint, before, repo, between, escaped, after);
    curl_free(escaped);
    return status;
}

void el_hub_repo_done(struct el_hub_repo *repo) {
    for (size_t i = 0; i < repo->count; i++)
        el_free(repo->files[i].path);
    el_free(repo->files);
    el_free(repo->commit);
    el_free(repo->license);
    *repo = (struct el_hub_repo){0};
}

static int read_file(const char *what, const json_t *object, struct el_hub_file *file) {
    const char *path = NULL, *sha256 = NULL;
    int64_t size = 0;
    const json_t *lfs = json_object_get(object, "lfs");
    int status = el_json_get_str_or(what, object, "rfilename", "", &path);
    if (status == 0) status = el_json_get_i64_or(what, object, "size", 0, INT64_MAX, 0, &size);
    if (status == 0 && json_is_object(lfs)) status = el_json_get_str_or(what, lfs, "sha256", NULL, &sha256);
    if (status == 0) status = el_strdup(path, &file->path);
    if (status < 0) return status;
    file->size = (uint64_t)size;
    el_sha256_copy(sha256, file->sha256);
    return 0;
}

static int read_repo(const char *what, const json_t *root, struct el_hub_repo *repo) {
    const char *commit = NULL, *license = NULL;
    const json_t *siblings = json_object_get(root, "siblings"), *card = json_object_get(root, "cardData");
    int status = el_json_get_str_or(what, root, "sha", NULL, &commit);
    if (status < 0) return status;
    if (!commit || !*commit || !json_is_array(siblings) || json_array_size(siblings) > MAX_FILES)
        return el_fail(EL_EFORMAT, "%s: the answer is not what a hub says of a model", what);
    if (json_is_string(json_object_get(card, "license")))
        license = json_string_value(json_object_get(card, "license"));
    status = el_strdup(commit, &repo->commit);
    if (status == 0) status = el_strdup(license ? license : "", &repo->license);
    if (status == 0) status = el_zalloc(json_array_size(siblings), sizeof *repo->files, &repo->files);
    for (size_t i = 0; status == 0 && i < json_array_size(siblings); i++, repo->count++)
        status = read_file(what, json_array_get(siblings, i), &repo->files[i]);
    return status;
}

int el_hub_list(struct el_hub *hub, const char *repo, const char *revision, struct el_hub_repo *ret_repo) {
    el_auto(el_str_done) struct el_str url = {0}, text = {0}, what = {0};
    el_auto_json json_t *root = NULL;
    el_auto(el_hub_repo_done) struct el_hub_repo found = {0};
    int status = make_url(hub, "/api/models/", repo, "/revision/", revision, "?blobs=true", &url);
    if (status == 0) status = el_str_printf(&what, "model %s at revision %s", repo, revision);
    if (status < 0) return status;
    struct transfer transfer = {.hub = hub, .what = what.data, .text = &text, .limit = LISTING_LIMIT};
    status = request(&transfer, url.data);
    if (status == 0) status = el_json_parse(url.data, text.data, text.length, &root);
    if (status == 0) status = read_repo(url.data, root, &found);
    if (status < 0) return status;
    *ret_repo = found;
    found = (struct el_hub_repo){0};
    return 0;
}

int el_hub_fetch(struct el_hub *hub, const char *repo, const char *revision, const char *path, uint64_t limit,
                 struct el_sink *sink, char ret_sha256[EL_SHA256_TEXT]) {
    el_auto(el_str_done) struct el_str url = {0}, what = {0}, tail = {0};
    int status = el_str_printf(&tail, "/%s", path);
    if (status == 0) status = make_url(hub, "/", repo, "/resolve/", revision, tail.data, &url);
    if (status == 0) status = el_str_printf(&what, "%s of %s", path, repo);
    if (status < 0) return status;
    struct transfer transfer = {.hub = hub, .what = what.data, .sink = sink, .limit = limit};
    status = request(&transfer, url.data);
    if (status < 0) return status;
    memcpy(ret_sha256, transfer.sha256, EL_SHA256_TEXT);
    return 0;
}
