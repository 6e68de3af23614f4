// SPDX-License-Identifier: Apache-2.0
// Torture: the N-th allocation fails, for every N, while the manager opens, looks at its devices and prints
// what it saw. Each run ends in EL_ENOMEM or works, and nothing leaks. On the fakes of tests/with-machine, so
// drivers fail as well.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "device/manager/manager.h"
#include "torture.h"

static struct el_health health;

static void ignore(void *context, const struct el_health *look) {
    (void)context, (void)look;
}

// All that the manager does; 0 or the first failure.
static int use_manager(const struct el_manager_options *options) {
    struct el_manager *manager = NULL;
    struct el_str json el_auto(el_str_done) = {0};
    EL_TRY(el_manager_open(options, &manager));
    int status = el_manager_watch(manager, 50, ignore, NULL);
    el_manager_health_check(manager, 0, &health);
    if (status == 0) status = el_health_put_json(&health, &json);
    if (status == 0) status = el_manager_reopen(manager, 0);
    el_manager_close(manager);
    return status;
}

static void torture(bool and_after) {
    const struct el_manager_options options = {.devices = "cpu=2"};
    assert_int_equal(use_manager(&options), 0); // what drivers keep for ever is there now
    struct torture torture = torture_begin(and_after);
    while (torture_next(&torture)) {
        torture_arm(&torture);
        torture_disarm(&torture, use_manager(&options));
    }
    assert_true(torture.refusals > 5);
}

static void one_failure(void **state) {
    (void)state;
    torture(false);
}

static void all_failures(void **state) {
    (void)state;
    torture(true);
}

int main(int count, char **args) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_failure),
        cmocka_unit_test(all_failures),
    };
    if (count == 2) cmocka_set_test_filter(args[1]);
    return cmocka_run_group_tests_name("torture_manager", tests, NULL, NULL);
}
