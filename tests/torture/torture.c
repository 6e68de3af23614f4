// SPDX-License-Identifier: Apache-2.0
// The loop of a torture.
#include "torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>

#include "base/error.h"
#include "failing_malloc.h"

struct torture torture_begin(bool and_after) {
    return (struct torture){.and_after = and_after, .tripped = true, .live = failing_malloc_live()};
}

bool torture_next(struct torture *torture) {
    assert_int_equal(failing_malloc_live(), torture->live);
    if (!torture->tripped)
        print_message("%ld allocations, %ld refusals\n", torture->nth - 1, torture->refusals);
    return torture->tripped;
}

void torture_arm(struct torture *torture) {
    failing_malloc_set(++torture->nth, torture->and_after);
}

int torture_disarm(struct torture *torture, int status) {
    torture->tripped = failing_malloc_tripped();
    failing_malloc_set(0, false);
    if (status < 0) {
        if (status != EL_ENOMEM) print_error("%s: %s\n", el_status_text(status), el_error_detail());
        assert_int_equal(status, EL_ENOMEM);
        assert_true(strlen(el_error_detail()) > 0);
        torture->refusals++;
    }
    return status;
}
