// SPDX-License-Identifier: Apache-2.0
// Graphs of an exec, in a table of few places: work that falls on a place takes it over.
#include "ops/replay.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

enum { PLACES = 64 };

// Work that came at least once. Compared as bytes up to `seen`: words alone, so that there is no padding.
struct entry {
    struct el_replay_key key;
    struct el_device_mark mark; // where fn's temporaries begin ...
    uint64_t changes;           // ... and the arena's blocks then
    bool seen;
    struct el_graph graph; // zeroed before the work came twice
};

struct el_replay {
    bool refused; // the driver made no graph once: not asked again
    struct entry entries[PLACES];
};

static struct entry describe(const struct el_exec *exec, const struct el_replay_key *key) {
    struct entry entry;
    memset(&entry, 0, sizeof entry);
    entry.key = *key;
    entry.mark = el_device_arena_mark(&exec->device_scratch);
    entry.changes = exec->device_scratch.changes;
    entry.seen = true;
    return entry;
}

static bool is_same(const struct entry *a, const struct entry *b) {
    return a->seen && b->seen && memcmp(a, b, offsetof(struct entry, seen)) == 0;
}

// FNV-1a over the sizes: addresses differ little.
static size_t place_of(const struct el_replay_key *key) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < EL_COUNT(key->size); i++)
        hash = (hash ^ (uint64_t)key->size[i]) * 1099511628211u;
    return (hash ^ hash >> 32) % PLACES;
}

// Records fn's launches. The work has not been done when this returns.
static int record(struct el_exec *exec, el_replay_fn *fn, void *context, struct el_graph *ret_graph) {
    struct el_graph graph = {0};
    EL_TRY(el_stream_capture(&exec->stream));
    const struct el_exec_mark mark = el_exec_mark(exec);
    const int status = fn(context, exec);
    el_exec_release(exec, mark);
    const int ended = el_stream_capture_end(&exec->stream, &graph);
    if (status < 0 || ended < 0) {
        el_graph_close(&graph);
        return status < 0 ? status : ended;
    }
    *ret_graph = graph;
    return 0;
}

static bool can_replay(struct el_exec *exec) {
    const struct el_device *device = exec->stream.device;
    if (!device || !el_device_has_graphs(device) || device->trace) return false;
    if (!exec->replay && el_zalloc(1, sizeof *exec->replay, &exec->replay) < 0) return false;
    return !exec->replay->refused;
}

int el_exec_replay(struct el_exec *exec, const struct el_replay_key *key, void *context) {
    if (!can_replay(exec)) return key->fn(context, exec);
    struct entry *entry = &exec->replay->entries[place_of(key)];
    const struct entry wanted = describe(exec, key);
    if (!is_same(entry, &wanted)) {
        el_graph_close(&entry->graph);
        *entry = wanted;
        return key->fn(context, exec);
    }
    const int status = entry->graph.device ? 0 : record(exec, key->fn, context, &entry->graph);
    if (status == 0) return el_stream_replay(&exec->stream, &entry->graph);
    exec->replay->refused = status != EL_ENOMEM;
    return key->fn(context, exec); // and says what is wrong, where it is not the graph
}

void el_replay_close(struct el_replay *replay) {
    if (!replay) return;
    for (int i = 0; i < PLACES; i++)
        el_graph_close(&replay->entries[i].graph);
    el_free(replay);
}
