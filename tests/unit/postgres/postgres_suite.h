// SPDX-License-Identifier: Apache-2.0
// What only tests of the PostgreSQL store need.
#ifndef EL_TESTS_POSTGRES_SUITE_H
#define EL_TESTS_POSTGRES_SUITE_H

#include "suite.h"

// Runs a statement on a connection of its own. The first value of its first row, a number; or -1.
int64_t postgres_ask(const char *sql);

#endif
