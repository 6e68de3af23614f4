// SPDX-License-Identifier: Apache-2.0
// The table of fillings: which instruction sets this processor has, and what an operation table is called.
#include "ops/ops.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "ops/filling.h"

// Best first.
static const struct el_filling *const fillings[] = {
#if defined(__x86_64__)
    &el_filling_avx512,
    &el_filling_avx2,
    &el_filling_sse2,
#elif defined(__aarch64__)
    &el_filling_neon,
#endif
    &el_filling_ref,
};

// What the processor and the kernel (which must save the wide registers) offer.
static unsigned cpu_features(void) {
    unsigned features = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) features |= EL_CPU_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        features |= EL_CPU_AVX512;
    if (__builtin_cpu_supports("avx512bf16")) features |= EL_CPU_AVX512_BF16;
    if (__builtin_cpu_supports("avx512vnni")) features |= EL_CPU_AVX512_VNNI;
#endif
    return features;
}

bool el_cpu_has(unsigned needs) {
    return (needs & ~cpu_features()) == 0;
}

int el_ops_count(void) {
    int count = 0;
    for (size_t i = 0; i < EL_COUNT(fillings); i++)
        count += el_cpu_has(fillings[i]->needs);
    return count;
}

const struct el_ops *el_ops_at(int index) {
    for (size_t i = 0; i < EL_COUNT(fillings); i++)
        if (el_cpu_has(fillings[i]->needs) && index-- == 0) return &fillings[i]->ops;
    return NULL;
}

static int unknown_ops(const char *name) {
    struct el_str names = {0};
    int status = 0;
    for (int i = 0; i < el_ops_count() && status == 0; i++)
        status = el_str_printf(&names, "%s%s", i ? ", " : "", el_ops_at(i)->name);
    if (status == 0)
        status =
            el_fail(EL_ENOENT, "this processor has no operations named \"%s\"; it has: %s", name, names.data);
    el_str_done(&names);
    return status;
}

int el_ops_find(const char *name, const struct el_ops **ret_ops) {
    if (!name) name = getenv("ELEANOR_SIMD");
    const struct el_ops *ops;
    for (int i = 0; (ops = el_ops_at(i)); i++) {
        if (name && *name && strcmp(ops->name, name) != 0) continue;
        *ret_ops = ops;
        return 0;
    }
    return unknown_ops(name);
}

static bool has_product(const struct el_ops *ops, enum el_precision precision) {
    const struct el_product *product = ((const struct el_filling *)ops)->products[precision];
    return product && el_cpu_has(product->needs);
}

// The reference has every precision, to define them, but is faster in none.
static enum el_precision fastest(const struct el_ops *ops) {
    static const enum el_precision best_first[] = {EL_PRECISION_BF16, EL_PRECISION_INT8};
    for (size_t i = 0; i < EL_COUNT(best_first) && ops != &el_filling_ref.ops; i++)
        if (has_product(ops, best_first[i])) return best_first[i];
    return EL_PRECISION_FP32;
}

int el_ops_precision(const struct el_ops *ops, enum el_precision wanted, enum el_precision *ret_precision) {
    if (wanted == EL_PRECISION_AUTO) wanted = fastest(ops);
    if (!has_product(ops, wanted))
        return el_fail(EL_EUNSUPPORTED,
                       "precision %s needs instructions that the %s operations do not use or this processor "
                       "does not have; use auto or fp32",
                       el_precision_text(wanted), ops->name);
    *ret_precision = wanted;
    return 0;
}

struct rows_job {
    el_rows_fn *fn;
    const void *context;
    int64_t count;
    int tasks;
};

static void rows_task(void *context, int task, int worker) {
    (void)worker;
    const struct rows_job *job = context;
    job->fn(job->context, job->count * task / job->tasks, job->count * (task + 1) / job->tasks);
}

void el_rows_run(struct el_exec *exec, int64_t count, int64_t least, el_rows_fn *fn, const void *context) {
    int64_t tasks = EL_MIN(el_team_size(exec->team), count / least);
    struct rows_job job = {.fn = fn, .context = context, .count = count, .tasks = (int)EL_MAX(tasks, 1)};
    el_team_run(exec->team, job.tasks, rows_task, &job);
}

int64_t el_seqs_longest(const struct el_seqs *seqs) {
    int32_t longest = 0;
    for (int i = 0; i < seqs->count; i++)
        longest = EL_MAX(longest, seqs->start[i + 1] - seqs->start[i]);
    return longest;
}
