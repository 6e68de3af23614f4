// SPDX-License-Identifier: Apache-2.0
// Vectors of a device against those of the processor in fp32, in every precision that the device has, and the
// same bits in other company. A small random model always; the real all-MiniLM-L6-v2 where it is installed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "common/tiny_model.h"
#include "eleanor/eleanor.h"

#define TEXT(s) \
    { s, sizeof(s) - 1 }
static const struct el_text texts[] = {
    TEXT("A man with a hard hat is dancing."),
    TEXT("the cat sat on the mat ."),
    TEXT("A woman is slicing an onion while somebody else plays the guitar in the next room of the house."),
    TEXT(""),
    TEXT("zzz"),
};
enum { TEXTS = EL_COUNT(texts), MOST_DIM = 384 };

static const struct goal {
    const char *precision;
    double cosine; // least
    bool real_too; // the emulation of tensor cores is slow
} goals[] = {
    {"fp32", 0.99999, true}, {"tf32", 0.9999, false}, {"fp16", 0.9995, true},
    {"bf16", 0.999, false},  {"int8", 0.999, false},
};

static double cosine(const float *a, const float *b, int dim) {
    double dot = 0, aa = 0, bb = 0;
    for (int i = 0; i < dim; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return dot / sqrt(aa * bb);
}

// All texts on a device; EL_EUNSUPPORTED when it does not have the precision. `alone`: one by one.
static int embed(const char *model, const char *device, const char *precision, bool alone, float *vectors) {
    const struct el_embedder_options options = {
        .precision = precision, .device = device, .threads = 2, .streams = 2};
    struct el_embedder *embedder = NULL;
    EL_TRY(el_embedder_open(model, &options, &embedder));
    const int dim = el_embedder_dim(embedder);
    int status = 0;
    if (!alone) status = el_embed(embedder, texts, TEXTS, vectors);
    for (size_t i = 0; i < TEXTS && alone && status == 0; i++)
        status = el_embed(embedder, &texts[i], 1, vectors + (int)i * dim);
    el_embedder_close(embedder);
    return status < 0 ? status : dim;
}

static void check(const char *model, const char *device, bool real) {
    static float want[TEXTS * MOST_DIM], got[TEXTS * MOST_DIM], alone[TEXTS * MOST_DIM];
    assert_true(embed(model, "cpu", "fp32", false, want) > 0);
    for (size_t g = 0; g < EL_COUNT(goals); g++) {
        if (real && !goals[g].real_too) continue;
        const int dim = embed(model, device, goals[g].precision, false, got);
        if (dim == EL_EUNSUPPORTED && strstr(el_error_detail(), "no kernels")) {
            print_message("SKIPPED: %s\n", el_error_detail());
            continue;
        }
        if (dim < 0) print_error("%s %s: %s\n", device, goals[g].precision, el_error_detail());
        assert_true(dim > 0);
        double worst = 1;
        for (int i = 0; i < (int)TEXTS; i++)
            worst = fmin(worst, cosine(want + i * dim, got + i * dim, dim));
        print_message("%s %s: worst cosine %.7f\n", device, goals[g].precision, worst);
        assert_true(worst >= goals[g].cosine);
        if (real) continue;
        assert_int_equal(embed(model, device, goals[g].precision, true, alone), dim);
        assert_memory_equal(got, alone, TEXTS * (size_t)dim * sizeof *got);
    }
}

static void check_tiny(const char *device) {
    char *model = tiny_model_write(EL_F32);
    check(model, device, false);
    tiny_model_remove(model);
}

static void check_real(const char *device) {
    const char *model = real_model_path();
    if (!model) skip();
    check(model, device, true);
}

static void cuda_tiny(void **state) {
    (void)state;
    check_tiny("cuda:0");
}
static void cuda_real(void **state) {
    (void)state;
    check_real("cuda:0");
}
static void opencl_tiny(void **state) {
    (void)state;
    check_tiny("opencl:0");
}
static void opencl_real(void **state) {
    (void)state;
    check_real("opencl:0");
}

// test_devices [FILTER]: cuda_* or opencl_*, for instance.
int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuda_tiny),
        cmocka_unit_test(cuda_real),
        cmocka_unit_test(opencl_tiny),
        cmocka_unit_test(opencl_real),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
