// SPDX-License-Identifier: Apache-2.0
// An allocator that says no: stands in for malloc in the whole process, libraries included, counts what lives
// and fails the N-th allocation from now, that one alone or every one from it on.
#ifndef EL_TESTS_FAILING_MALLOC_H
#define EL_TESTS_FAILING_MALLOC_H

#include <stdbool.h>

// nth 1 is the next; 0 ends the failing.
void failing_malloc_set(long nth, bool and_after);
// From now on what shared libraries ask for themselves is not counted and does not fail; or does again.
void failing_malloc_spare_libraries(bool spare);
// Whether one has failed since the last set.
bool failing_malloc_tripped(void);
// Allocations that were not freed, of the whole process.
long failing_malloc_live(void);
// Allocations asked for since the start.
long failing_malloc_calls(void);

#endif
