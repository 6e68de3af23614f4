// SPDX-License-Identifier: Apache-2.0
// Shell completions, written from the tables of flags.
#ifndef EL_CMD_COMPLETION_H
#define EL_CMD_COMPLETION_H

#include <stdio.h>

// `shell` is "bash", "zsh" or "fish".
void el_print_completion(const char *shell, FILE *stream);

#endif
