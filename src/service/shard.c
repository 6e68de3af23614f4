// SPDX-License-Identifier: Apache-2.0
// Finding the share by a wish or by the launchers' variables.
#include "service/shard.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "base/str.h"

struct launcher {
    const char *name, *rank, *size; // variables; size NULL: it does not tell
    bool rank_alone;                // may stand without the size: then there is nothing to share
};

// The innermost first: mpirun within a Slurm job leaves Slurm's variables of the node. Slurm's size is the
// step's, since a batch script has a SLURM_PROCID and SLURM_NTASKS too without being one of the tasks.
static const struct launcher launchers[] = {
    {"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", false},
    {"PMI", "PMI_RANK", "PMI_SIZE", false},
    {"Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", true},
    {"Kubernetes", "JOB_COMPLETION_INDEX", NULL, false},
};

static const char *variable(const char *name) {
    const char *value = name ? getenv(name) : NULL;
    return value && *value ? value : NULL;
}

static int parse_size(const char *text, int64_t *ret_size) {
    return el_parse_i64(text, 1, EL_SHARD_MOST, ret_size);
}

static int parse_rank(const char *text, int64_t size, int64_t *ret_rank) {
    return el_parse_i64(text, 0, size - 1, ret_rank);
}

static int follow(const struct launcher *launcher, int64_t wished_size, struct el_shard *ret_shard) {
    const char *rank = variable(launcher->rank), *size = variable(launcher->size);
    struct el_shard shard = {.size = wished_size, .from = launcher->name};
    if (!rank)
        return el_fail(EL_EINVAL, "%s is set without %s; give --shard RANK/SIZE", launcher->size,
                       launcher->rank);
    if (!size && !wished_size)
        return el_fail(
            EL_EINVAL,
            "%s is %s, and nothing says of how many: give --shard /SIZE, or --shard 0/1 to do it all",
            launcher->rank, rank);
    if (size && parse_size(size, &shard.size) < 0) return el_fail_in(EL_EINVAL, "%s", launcher->size);
    if (wished_size && shard.size != wished_size)
        return el_fail(EL_EINVAL, "--shard wants %" PRId64 " shares, %s is %s", wished_size, launcher->size,
                       size);
    if (parse_rank(rank, shard.size, &shard.rank) < 0) return el_fail_in(EL_EINVAL, "%s", launcher->rank);
    *ret_shard = shard;
    return 0;
}

static int ask_launchers(int64_t wished_size, struct el_shard *ret_shard) {
    for (size_t i = 0; i < EL_COUNT(launchers); i++) {
        const struct launcher *launcher = &launchers[i];
        const char *rank = variable(launcher->rank), *size = variable(launcher->size);
        if (rank && !size && launcher->rank_alone) continue;
        if (rank || size) return follow(launcher, wished_size, ret_shard);
    }
    if (wished_size > 1)
        return el_fail(EL_EINVAL, "--shard /%" PRId64 ": no launcher says which of them; give RANK/SIZE",
                       wished_size);
    *ret_shard = (struct el_shard){.size = 1, .from = ""};
    return 0;
}

static int parse_wish(const char *wish, struct el_shard *ret_shard) {
    const char *slash = strchr(wish, '/');
    struct el_shard shard = {.from = "--shard"};
    char *rank el_auto_free = NULL;
    if (!slash) return el_fail(EL_EINVAL, "\"%s\" is no RANK/SIZE: 0/4 is the first of four", wish);
    EL_TRY(parse_size(slash + 1, &shard.size));
    if (slash == wish) return ask_launchers(shard.size, ret_shard);
    EL_TRY(el_strndup(wish, (size_t)(slash - wish), &rank));
    EL_TRY(parse_rank(rank, shard.size, &shard.rank));
    *ret_shard = shard;
    return 0;
}

int el_shard_find(const char *wish, struct el_shard *ret_shard) {
    if (!wish) return ask_launchers(0, ret_shard);
    int status = parse_wish(wish, ret_shard);
    return status < 0 ? el_fail_in(status, "--shard") : 0;
}

bool el_shard_has(const struct el_shard *shard, const char *id) {
    if (shard->size == 1) return true;
    return el_siphash_of(NULL, id, strlen(id)).word[0] % (uint64_t)shard->size == (uint64_t)shard->rank;
}

uint64_t el_shard_start(const struct el_shard *shard, int64_t rank, uint64_t total) {
    const uint64_t size = (uint64_t)shard->size,
                   part = (uint64_t)rank; // total * rank / size without overflow
    return total / size * part + total % size * part / size;
}
