// SPDX-License-Identifier: Apache-2.0
// The loop of a torture: in the N-th round the N-th allocation fails, until a round needs no N-th one. What
// is tried says EL_ENOMEM, with words, or does its work, which the caller checks; and each round leaves
// nothing behind.
//
//     struct torture torture = torture_begin(and_after);
//     while (torture_next(&torture)) {
//         torture_arm(&torture);
//         const int status = torture_disarm(&torture, try());
//         if (status == 0) check();
//     }
//     assert_true(torture.refusals > 5); // some were hit
#ifndef EL_TESTS_TORTURE_H
#define EL_TESTS_TORTURE_H

#include <stdbool.h>

struct torture {
    bool and_after; // all from the N-th on fail, not it alone
    bool tripped;   // in the round before
    long nth;
    long refusals;
    long live; // allocations at the beginning
};

// What drivers and the C library allocate once and keep is to be there before.
struct torture torture_begin(bool and_after);
// Checks that the round before left nothing; false when it was the last.
bool torture_next(struct torture *torture);
void torture_arm(struct torture *torture);
// Ends the failing; checks that a negative status is EL_ENOMEM with a detail. Returns it.
int torture_disarm(struct torture *torture, int status);

#endif
