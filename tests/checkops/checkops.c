// SPDX-License-Identifier: Apache-2.0
// checkops holds every filling of the operation table, and the first device of every back-end, to the plain C
// reference: it draws shapes and inputs from seeds, compares, and names the seed of what differs. --bench
// times the processor's operations.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "checkops.h"

enum { MOST_THREADS = 4 };

struct options {
    int64_t seed;
    int64_t rounds;
    const char *op, *ops, *device; // NULL: all
    bool bench, self_test;
};

struct totals {
    int passed, failed;
};

static struct el_team *teams[MOST_THREADS + 1]; // by size; 0 and 1 stay NULL

static const char usage[] =
    "usage: checkops [--seed N] [--rounds N] [--op NAME] [--ops FILLING | --device NAME] [--bench | "
    "--self-test]\n"
    "Checks each operation of each filling that this processor can run, and of the first device of each "
    "back-end,\n"
    "against the plain C reference.\n"
    "  --seed N       first seed (default 1); with --rounds 1 it repeats a failure\n"
    "  --rounds N     draws per operation, filling and precision (default 300)\n"
    "  --op NAME      one operation\n"
    "  --ops FILLING  one filling: avx512, avx2, sse2, neon\n"
    "  --device NAME  one device: cuda:0, opencl:0; or none\n"
    "  --bench        time each operation instead; ELEANOR_THREADS threads (default 1)\n"
    "  --self-test    check that deliberately wrong operations are caught\n";

static int read_options(int argc, char **argv, struct options *options) {
    static const struct option names[] = {
        {"seed", required_argument, NULL, 's'},
        {"rounds", required_argument, NULL, 'r'},
        {"op", required_argument, NULL, 'o'},
        {"ops", required_argument, NULL, 'f'},
        {"device", required_argument, NULL, 'd'},
        {"bench", no_argument, NULL, 'b'},
        {"self-test", no_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, status = 0;
    while (status == 0 && (option = getopt_long(argc, argv, "", names, NULL)) != -1)
        switch (option) {
        case 's':
            status = el_parse_i64(optarg, 0, INT64_MAX / 2, &options->seed);
            break;
        case 'r':
            status = el_parse_i64(optarg, 1, 1000000, &options->rounds);
            break;
        case 'o':
            options->op = optarg;
            break;
        case 'f':
            options->ops = optarg;
            break;
        case 'd':
            options->device = optarg;
            break;
        case 'b':
            options->bench = true;
            break;
        case 't':
            options->self_test = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            return EL_EINVAL;
        }
    return optind < argc ? EL_EINVAL : status;
}

// What rounding to a device's store type, or tensor cores, may add to an operation's tolerance. Precisions of
// the processor are defined bit for bit by the reference, and add nothing.
static double precision_tolerance(const struct el_target *target) {
    static const double of_device[EL_PRECISION_COUNT] = {
        [EL_PRECISION_TF32] = 2e-3,
        [EL_PRECISION_FP16] = 2e-3,
        [EL_PRECISION_BF16] = 1.6e-2,
        [EL_PRECISION_INT8] = 2e-2,
    };
    return target->device ? of_device[target->precision] : 0;
}

static struct check start_check(const struct el_target *target, const struct op_case *op, uint64_t seed) {
    struct check check = {
        .ops = target->device ? &remote_ops : target->ops,
        .target = *target,
        .exec = {.ops = target->ops},
        .precision = target->device ? EL_PRECISION_FP32 : target->precision,
        .draw = {.state = seed},
        .tolerance = EL_MAX(op->tolerance, precision_tolerance(target)),
    };
    if (target->device) {
        check_status(&check, el_exec_open(target, NULL, &check.exec), "el_exec_open");
        check.exec.ops = &remote_ops;
    } else {
        el_arena_init(&check.exec.scratch);
    }
    el_arena_init(&check.ref.scratch);
    if (el_ops_find("ref", &check.ref.ops) < 0) exit(1);
    return check;
}

static void end_check(struct check *check) {
    check_release(check);
    el_exec_close(&check->exec);
    el_arena_done(&check->ref.scratch);
}

static const char *place_text(const struct el_target *target) {
    return target->device ? target->device->id : target->ops->name;
}

// One draw. On failure the message is kept for the caller, when it wants one.
static bool passes(const struct el_target *target, const struct op_case *op, uint64_t seed, bool explain) {
    struct check check = start_check(target, op, seed);
    int threads = draw_int(&check.draw, -2, MOST_THREADS); // no team as often as a real one
    check.exec.team = threads > 1 && !target->device ? teams[threads] : NULL;
    if (!check.failed) op->check(&check);
    if (check.failed && explain)
        printf("FAILED  %s %s %s, seed %llu: %s, %d threads:\n        %s\n", place_text(target), op->name,
               el_precision_text(target->precision), (unsigned long long)seed, check.shape,
               EL_MAX(threads, 1), check.message);
    end_check(&check);
    return !check.failed;
}

static void check_op(const struct options *options, const struct el_target *target, const struct op_case *op,
                     struct totals *totals) {
    for (int64_t i = 0; i < options->rounds; i++)
        if (!passes(target, op, (uint64_t)(options->seed + i), true)) {
            totals->failed++;
            return;
        }
    printf("ok      %s %s %s (%lld draws)\n", place_text(target), op->name,
           el_precision_text(target->precision), (long long)options->rounds);
    totals->passed++;
}

// Wrong operations of the best filling: every kind of spoiling must be noticed in every operation.
static void self_test_op(const struct options *options, const struct el_ops *ops, const struct op_case *op,
                         struct totals *totals) {
    for (int how = 0; how < SPOIL_COUNT; how++) {
        const struct el_target wrong = {.ops = wrong_ops(ops, (enum spoil)how),
                                        .precision = EL_PRECISION_FP32};
        int caught = 0;
        for (int64_t i = 0; i < options->rounds && !caught; i++)
            caught = !passes(&wrong, op, (uint64_t)(options->seed + i), false);
        printf("%s  wrong %s, spoiled in way %d, is %s\n", caught ? "ok    " : "FAILED", op->name, how,
               caught ? "caught" : "not noticed");
        totals->passed += caught != 0;
        totals->failed += caught == 0;
    }
}

void bench_run(struct check *check, const char *shape, double work, const char *unit,
               int (*run)(struct check *check, void *state), void *state) {
    uint64_t best = UINT64_MAX, begin = el_now_ns();
    int status = 0;
    for (int i = 0; status == 0 && (i < 5 || el_now_ns() - begin < 200000000u); i++) {
        uint64_t start = el_now_ns();
        status = run(check, state);
        uint64_t took = EL_MAX(el_now_ns() - start, 1u);
        best = EL_MIN(best, took);
    }
    check_status(check, status, shape);
    printf("%-8s %-5s %-28s %10.1f us %8.1f %s\n", check->ops->name,
           el_precision_text(check->target.precision), shape, (double)best / 1e3, work / (double)best, unit);
}

static void bench_op(const struct el_target *target, const struct op_case *op, struct totals *totals) {
    int64_t threads = 1;
    const char *wanted = getenv("ELEANOR_THREADS");
    if (wanted && el_parse_i64(wanted, 1, MOST_THREADS, &threads) < 0) printf("# %s\n", el_error_detail());
    struct check check = start_check(target, op, 1);
    check.exec.team = teams[threads];
    printf("# %s\n", op->name);
    op->bench(&check);
    if (check.failed) printf("FAILED  %s\n", check.message);
    totals->failed += check.failed;
    totals->passed += !check.failed;
    end_check(&check);
}

// linear is checked in every precision that the processor has; the others compute in fp32.
static bool has_precision(const struct el_ops *ops, const struct op_case *op, enum el_precision precision) {
    enum el_precision resolved;
    if (precision != EL_PRECISION_FP32 && strcmp(op->name, "linear") != 0) return false;
    return el_ops_precision(ops, precision, &resolved) == 0;
}

static void run_filling(const struct options *options, const struct el_ops *ops, struct totals *totals) {
    for (int i = 0; i < op_case_count; i++) {
        const struct op_case *op = &op_cases[i];
        if (options->op && strcmp(options->op, op->name) != 0) continue;
        if (options->self_test) {
            self_test_op(options, ops, op, totals);
            continue;
        }
        for (int p = EL_PRECISION_FP32; p <= EL_PRECISION_INT8; p++) {
            const struct el_target target = {.ops = ops, .precision = (enum el_precision)p};
            if (!has_precision(ops, op, target.precision)) continue;
            if (options->bench)
                bench_op(&target, op, totals);
            else
                check_op(options, &target, op, totals);
        }
    }
}

// ---- devices ----

// Precisions that are a store type run all operations; the others are ways to multiply.
static bool differs(const struct op_case *op, enum el_precision precision) {
    static const char *const of_floats[] = {"l2_normalize", "inner_products", "top_k", "top_products",
                                            "top_products_few"};
    if (strcmp(op->name, "linear") == 0) return true;
    for (size_t i = 0; i < EL_COUNT(of_floats); i++)
        if (strcmp(op->name, of_floats[i]) == 0) return precision == EL_PRECISION_FP32;
    return precision == EL_PRECISION_FP32 || precision == EL_PRECISION_FP16 || precision == EL_PRECISION_BF16;
}

static void run_device(const struct options *options, struct el_device *device, struct totals *totals) {
    for (int p = EL_PRECISION_FP32; p < EL_PRECISION_COUNT; p++) {
        struct el_target target;
        if (el_target_init(device, (enum el_precision)p, &target) < 0) {
            printf("# %s\n", el_error_detail());
            continue;
        }
        for (int i = 0; i < op_case_count; i++) {
            const struct op_case *op = &op_cases[i];
            if (options->op && strcmp(options->op, op->name) != 0) continue;
            if (differs(op, target.precision)) check_op(options, &target, op, totals);
        }
    }
}

static void run_devices(const struct options *options, struct totals *totals) {
    for (int i = 0; i < el_backend_count; i++) {
        struct el_device *device;
        const struct el_backend *backend = el_backends[i];
        if (options->device && !el_starts_with(options->device, backend->name)) continue;
        int status = options->device ? el_device_open_id(options->device, NULL, &device)
                                     : el_device_open(backend->name, 0, NULL, &device);
        if (status < 0) {
            printf("# %s: %s\n", backend->name, el_error_detail());
            continue;
        }
        if (!el_device_is_host(device)) run_device(options, device, totals);
        el_device_close(device);
    }
}

static void open_teams(void) {
    for (int threads = 2; threads <= MOST_THREADS; threads++)
        if (el_team_open(threads, false, &teams[threads]) < 0) {
            fprintf(stderr, "checkops: %s\n", el_error_detail());
            exit(1);
        }
}

int main(int argc, char **argv) {
    struct options options = {.seed = 1, .rounds = 300};
    struct totals totals = {0};
    if (read_options(argc, argv, &options) < 0) {
        fprintf(stderr, "%s%s%s", el_error_detail(), *el_error_detail() ? "\n" : "", usage);
        return 2;
    }
    open_teams();
    for (int i = 0; i < el_ops_count() && !(options.device && strcmp(options.device, "none") != 0); i++) {
        const struct el_ops *ops = el_ops_at(i);
        if (options.ops ? strcmp(options.ops, ops->name) != 0 : options.self_test && i > 0) continue;
        run_filling(&options, ops, &totals);
    }
    if (!options.ops && !options.bench && !options.self_test) run_devices(&options, &totals);
    for (int threads = 2; threads <= MOST_THREADS; threads++)
        el_team_close(teams[threads]);
    if (totals.passed + totals.failed == 0) {
        fprintf(stderr, "checkops: no operation or filling of that name here\n");
        return 2;
    }
    printf("checkops: %d passed, %d failed\n", totals.passed, totals.failed);
    return totals.failed > 0;
}
