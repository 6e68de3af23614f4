// SPDX-License-Identifier: Apache-2.0
// Shares: who is asked first, what contradicts itself, and that all shares together have everything once.
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "service/shard.h"

static const char *const variables[] = {
    "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK",     "PMI_SIZE",
    "SLURM_PROCID",         "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "JOB_COMPLETION_INDEX"};

// "NAME=VALUE NAME=VALUE" becomes the environment's, and all other variables of launchers leave it.
static void set_environment(const char *settings) {
    char copy[256], *rest = copy;
    for (size_t i = 0; i < EL_COUNT(variables); i++)
        unsetenv(variables[i]);
    snprintf(copy, sizeof copy, "%s", settings);
    for (char *word; (word = strsep(&rest, " "));) {
        char *equals = strchr(word, '=');
        if (!equals) continue;
        *equals = '\0';
        assert_int_equal(setenv(word, equals + 1, 1), 0);
    }
}

static void who_is_asked(void **state) {
    (void)state;
    static const struct {
        const char *environment, *wish;
        int64_t rank, size;
        const char *from;
    } cases[] = {
        {"", NULL, 0, 1, ""},
        {"OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=4", NULL, 2, 4, "Open MPI"},
        {"PMI_RANK=0 PMI_SIZE=3", NULL, 0, 3, "PMI"},
        {"SLURM_PROCID=6 SLURM_STEP_NUM_TASKS=7 SLURM_NTASKS=9", NULL, 6, 7, "Slurm"},
        {"JOB_COMPLETION_INDEX=5", "/8", 5, 8, "Kubernetes"},
        {"OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 PMI_RANK=3 PMI_SIZE=4 SLURM_PROCID=5 "
         "SLURM_STEP_NUM_TASKS=6 JOB_COMPLETION_INDEX=7",
         NULL, 1, 2, "Open MPI"},
        {"PMI_RANK=3 PMI_SIZE=4 SLURM_PROCID=5 SLURM_STEP_NUM_TASKS=6", NULL, 3, 4, "PMI"},
        {"SLURM_PROCID=5 SLURM_STEP_NUM_TASKS=6 JOB_COMPLETION_INDEX=7", NULL, 5, 6, "Slurm"},
        {"SLURM_PROCID=0 SLURM_NTASKS=4", NULL, 0, 1, ""}, // a batch script, which is none of the tasks
        {"OMPI_COMM_WORLD_RANK= OMPI_COMM_WORLD_SIZE=", NULL, 0, 1, ""},
        {"OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2", "5/9", 5, 9, "--shard"},
        {"OMPI_COMM_WORLD_RANK=1", "0/1", 0, 1, "--shard"}, // a wish asks nobody else
        {"OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2", "/2", 1, 2, "Open MPI"},
        {"", "/1", 0, 1, ""},
        {"", "999999/1000000", 999999, 1000000, "--shard"},
    };
    for (size_t i = 0; i < EL_COUNT(cases); i++) {
        struct el_shard shard = {0};
        set_environment(cases[i].environment);
        if (el_shard_find(cases[i].wish, &shard) < 0) fail_msg("case %zu: %s", i, el_error_detail());
        assert_int_equal(shard.rank, cases[i].rank);
        assert_int_equal(shard.size, cases[i].size);
        assert_string_equal(shard.from, cases[i].from);
    }
}

static void what_cannot_be(void **state) {
    (void)state;
    static const struct {
        const char *environment, *wish, *detail;
    } cases[] = {
        {"", "4/4", "--shard: \"4\" is not a whole number from 0 to 3"},
        {"", "-1/4", "\"-1\""},
        {"", "1/0", "\"0\""},
        {"", "1/1000001", "from 1 to 1000000"},
        {"", "1", "0/4 is the first of four"},
        {"", "", "0/4 is the first of four"},
        {"", "1/", "\"\""},
        {"", "a/b", "\"b\""},
        {"", "1/4/2", "\"4/2\""},
        {"", "/4", "no launcher says"},
        {"OMPI_COMM_WORLD_RANK=1", NULL, "nothing says of how many"},
        {"OMPI_COMM_WORLD_SIZE=4", NULL, "OMPI_COMM_WORLD_SIZE is set without OMPI_COMM_WORLD_RANK"},
        {"OMPI_COMM_WORLD_RANK=4 OMPI_COMM_WORLD_SIZE=4", NULL, "OMPI_COMM_WORLD_RANK: \"4\""},
        {"OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2", "/4", "OMPI_COMM_WORLD_SIZE is 2"},
        {"OMPI_COMM_WORLD_RANK=x OMPI_COMM_WORLD_SIZE=2", NULL, "OMPI_COMM_WORLD_RANK: \"x\""},
        {"PMI_RANK=0 PMI_SIZE=many", NULL, "PMI_SIZE: \"many\""},
        {"SLURM_STEP_NUM_TASKS=4", NULL, "without SLURM_PROCID"},
        {"JOB_COMPLETION_INDEX=3", NULL, "--shard /SIZE"},
        {"JOB_COMPLETION_INDEX=3", "/3", "JOB_COMPLETION_INDEX: \"3\""},
    };
    for (size_t i = 0; i < EL_COUNT(cases); i++) {
        struct el_shard shard = {.size = -7};
        set_environment(cases[i].environment);
        assert_int_equal(el_shard_find(cases[i].wish, &shard), EL_EINVAL);
        if (!strstr(el_error_detail(), cases[i].detail)) fail_msg("case %zu: %s", i, el_error_detail());
        assert_int_equal(shard.size, -7);
    }
}

static void each_id_has_one_share(void **state) {
    (void)state;
    enum { IDS = 4000, SIZE = 4 };
    int count[SIZE] = {0};
    for (int i = 0; i < IDS; i++) {
        char id[32];
        int owners = 0;
        snprintf(id, sizeof id, "/docs/%d.txt", i);
        for (int64_t rank = 0; rank < SIZE; rank++) {
            const bool has = el_shard_has(&(struct el_shard){.rank = rank, .size = SIZE}, id);
            owners += has;
            count[rank] += has;
        }
        assert_int_equal(owners, 1);
        assert_true(el_shard_has(&(struct el_shard){.size = 1}, id));
    }
    for (int rank = 0; rank < SIZE; rank++)
        assert_in_range(count[rank], IDS / SIZE * 9 / 10, IDS / SIZE * 11 / 10);
    // The hash may never change: a rank that is started again with a newer program has the same share.
    static const bool first_of_four[] = {0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0};
    for (size_t i = 0; i < EL_COUNT(first_of_four); i++) {
        char id[32];
        snprintf(id, sizeof id, "%zu", i);
        assert_int_equal(el_shard_has(&(struct el_shard){.size = 4}, id), first_of_four[i]);
    }
}

static void runs_of_bytes(void **state) {
    (void)state;
    static const uint64_t totals[] = {0, 1, 3, 1000, UINT64_MAX};
    static const int64_t sizes[] = {1, 3, 7, EL_SHARD_MOST};
    for (size_t i = 0; i < EL_COUNT(totals); i++) {
        for (size_t j = 0; j < EL_COUNT(sizes); j++) {
            const struct el_shard shard = {.size = sizes[j]};
            uint64_t before = 0;
            assert_int_equal(el_shard_start(&shard, 0, totals[i]), 0);
            assert_int_equal(el_shard_start(&shard, sizes[j], totals[i]), totals[i]);
            for (int64_t rank = 1; rank <= sizes[j]; rank++) {
                const uint64_t start = el_shard_start(&shard, rank, totals[i]);
                assert_true(start >= before);
                assert_in_range(start - before - totals[i] / (uint64_t)sizes[j], 0, 1); // all alike
                before = start;
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_asked),
        cmocka_unit_test(what_cannot_be),
        cmocka_unit_test(each_id_has_one_share),
        cmocka_unit_test(runs_of_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
