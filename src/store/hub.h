// SPDX-License-Identifier: Apache-2.0
// The Hugging Face hub, or a mirror of it, by libcurl: what a repository holds, and its files. Proxies are
// those of curl's environment variables. One thread at a time.
#ifndef EL_STORE_HUB_H
#define EL_STORE_HUB_H

#include <stddef.h>
#include <stdint.h>

#include "base/progress.h"
#include "store/sha256.h"
#include "store/sink.h"

struct el_hub;

// The hub at $HF_ENDPOINT, else https://huggingface.co, as the user whom $HF_TOKEN names. EL_ENET when
// $HF_HUB_OFFLINE is set; EL_EINVAL: a variable makes no sense. `progress` (may be NULL) is told of retries.
int el_hub_open(struct el_progress *progress, struct el_hub **ret_hub);
void el_hub_close(struct el_hub *hub);

struct el_hub_file {
    char *path;
    uint64_t size;               // bytes
    char sha256[EL_SHA256_TEXT]; // "" where the hub keeps none (small files)
};

struct el_hub_repo {
    char *commit;
    char *license; // "" when not stated
    struct el_hub_file *files;
    size_t count;
};

// What `repo` ("owner/name") holds at `revision`. EL_ENOENT, EL_ENET, EL_EFORMAT, EL_ENOMEM.
int el_hub_list(struct el_hub *hub, const char *repo, const char *revision, struct el_hub_repo *ret_repo);
void el_hub_repo_done(struct el_hub_repo *repo);

// Appends what follows the sink's first sink->size bytes of a file to the sink, tried again with growing
// pauses where that may help; a hub that can't resume makes the sink begin anew. A file over `limit` bytes is
// refused. *ret_sha256 is the sum by which the hub knows the file, or "". What was received stays in the sink
// whatever happens. EL_ENOENT, EL_ENET, EL_ETOOBIG, EL_EIO (writing).
int el_hub_fetch(struct el_hub *hub, const char *repo, const char *revision, const char *path, uint64_t limit,
                 struct el_sink *sink, char ret_sha256[EL_SHA256_TEXT]);

#endif
