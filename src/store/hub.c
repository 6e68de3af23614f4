// SPDX-License-Identifier: Apache-2.0
// The hub: where it is and who asks, by the environment; its two requests, and what it says of a repository.
#include "store/hub.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "eleanor/eleanor.h"
#include "store/transfer.h"

enum {
    LISTING_LIMIT = 16 << 20, // bytes of the JSON that lists a repository
    MAX_FILES = 100000,       // of a repository
    MAX_REDIRECTS = 10,
    CONNECT_TIMEOUT_S = 15,
    STALL_TIMEOUT_S = 30, // without a byte
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
    struct el_transfer transfer = {.hub = hub, .what = what.data, .text = &text, .limit = LISTING_LIMIT};
    status = el_transfer_run(&transfer, url.data);
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
    struct el_transfer transfer = {.hub = hub, .what = what.data, .sink = sink, .limit = limit};
    status = el_transfer_run(&transfer, url.data);
    if (status < 0) return status;
    memcpy(ret_sha256, transfer.sha256, EL_SHA256_TEXT);
    return 0;
}
