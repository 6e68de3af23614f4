// SPDX-License-Identifier: Apache-2.0
// One request to the hub, with redirects, resumption and retries: what hub.c makes its two requests of.
#ifndef EL_STORE_TRANSFER_H
#define EL_STORE_TRANSFER_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/progress.h"
#include "base/str.h"
#include "store/sha256.h"
#include "store/sink.h"

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
struct el_transfer {
    struct el_hub *hub;
    const char *what;     // "model.safetensors of owner/name"
    struct el_sink *sink; // takes the bytes,
    struct el_str *text;  // or this does
    uint64_t limit;       // bytes in all
    // of the try that runs
    uint64_t offset; // where the request asks to go on
    int failure;     // what a callback failed with
    bool has_body;
    // of its answer's headers
    char sha256[EL_SHA256_TEXT];
    uint64_t range_start;
    long retry_after_s;
};

// Asks for `url` until all is there, or no further try may help. What was received stays in the sink whatever
// happens. The codes of el_hub_fetch.
int el_transfer_run(struct el_transfer *transfer, const char *url);

#endif
