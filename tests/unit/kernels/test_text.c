// SPDX-License-Identifier: Apache-2.0
// The texts that drivers get: which PTX there is, that old drivers load it, and that every kernel stands in
// each.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/kernels.h"

static void ptx_is_of_a_version_that_old_drivers_load(void **state) {
    (void)state;
    if (strncmp(el_ptx_compiler, "clang", strlen("clang")) != 0) {
        print_message("SKIPPED: the PTX is not clang's but \"%s\"\n", el_ptx_compiler);
        skip();
    }
    assert_true(el_ptx_count > 0);
    for (int i = 0; i < el_ptx_count; i++)
        assert_non_null(strstr(el_ptx[i].text, "\n.version 7.0\n"));
}

static void rows_of_ptx_ascend(void **state) {
    (void)state;
    assert_int_equal(el_ptx_count == 0, el_ptx_compiler[0] == '\0');
    int last[EL_STORE_COUNT] = {0};
    for (int i = 0; i < el_ptx_count; i++) {
        char target[32];
        snprintf(target, sizeof target, "\n.target sm_%d\n", el_ptx[i].capability);
        assert_non_null(strstr(el_ptx[i].text, target));
        assert_true(el_ptx[i].capability > last[el_ptx[i].store]);
        last[el_ptx[i].store] = el_ptx[i].capability;
    }
    for (int store = 0; store < EL_STORE_COUNT && el_ptx_count > 0; store++)
        assert_true(last[store] > 0);
}

static bool has_entry(const char *text, const char *before, const char *symbol) {
    char entry[96];
    snprintf(entry, sizeof entry, "%s%s(", before, symbol);
    return strstr(text, entry) != NULL;
}

static void every_kernel_is_in_the_texts(void **state) {
    (void)state;
    for (enum el_kernel kernel = 0; kernel < EL_KERNEL_COUNT; kernel++) {
        char symbol[64], dialect[64];
        bool is_twin = strstr(el_kernels[kernel].name, "_mma") != NULL;
        snprintf(dialect, sizeof dialect, "KERNEL(%s)", el_kernels[kernel].name);
        assert_int_equal(has_entry(el_opencl_text, "", dialect), !is_twin);
        for (int i = 0; i < el_ptx_count && !is_twin; i++) {
            el_kernel_symbol(kernel, el_ptx[i].store, symbol, sizeof symbol);
            if (!has_entry(el_ptx[i].text, ".entry ", symbol))
                fail_msg("there is no %s in row %d", symbol, i);
        }
    }
}

static void messages_about_opencl_name_the_file(void **state) {
    (void)state;
    assert_non_null(strstr(el_opencl_text, "#line 1 \"linear.k\"\n// SPDX"));
    assert_null(strstr(el_opencl_text, "#include \"")); // a driver has no files
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ptx_is_of_a_version_that_old_drivers_load),
        cmocka_unit_test(rows_of_ptx_ascend),
        cmocka_unit_test(every_kernel_is_in_the_texts),
        cmocka_unit_test(messages_about_opencl_name_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
