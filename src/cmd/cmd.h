// SPDX-License-Identifier: Apache-2.0
// The verbs of the one binary. A verb is a file here with one `const struct el_verb el_verb_NAME` and a row
// in verbs.def; its flags stand in a table, from which the parser, --help and the shell completions are made.
//
//     static int run(struct el_args *args) {
//         bool json = false;
//         for (const char *flag, *value; el_args_next(args, &flag, &value) > 0;)
//             if (el_streq(flag, "json")) json = true;
//         ...
//         return status < 0 ? el_cmd_failed(args) : EL_EXIT_DONE;
//     }
#ifndef EL_CMD_CMD_H
#define EL_CMD_CMD_H

#include <stdbool.h>
#include <stdio.h>

#include "config/config.h"

enum el_exit { EL_EXIT_DONE = 0, EL_EXIT_FAILED = 1, EL_EXIT_USAGE = 2 };

struct el_flag {
    const char *name;     // "output", given as --output
    char letter;          // 'o' for -o; 0: none
    const char *argument; // "FILE", or "jsonl|npy|f32" when only these are allowed; NULL: takes no value
    const char *text;     // one line of --help
};

struct el_args;

struct el_verb {
    const char *name;
    const char *operands;        // what follows the flags in the usage line: "NAME", "[FILE...]", ""
    const char *summary;         // one line, no full stop
    const char *details;         // paragraphs that --help shows after the flags, or NULL
    const struct el_flag *flags; // up to a NULL name; --help is added to each verb
    const char *const *settings; // settings.def names that are flags too, up to NULL; NULL: none.
                                 // With them --config and --gpu-config are added
    int min_operands;
    int max_operands; // -1: any number
    // Flags and the number of operands were checked before; returns an enum el_exit.
    int (*run)(struct el_args *args);
};

// The arguments after the verb. Copy the struct to walk them again.
struct el_args {
    const struct el_verb *verb;
    char **argv; // up to a NULL
    int next;
    bool operands_only; // "--" was met
};

// The next flag (*ret_flag its long name; *ret_value its value, or NULL) or operand (*ret_flag NULL). 1, 0 at
// the end, EL_EINVAL with the nearest flag (never within el_verb.run).
int el_args_next(struct el_args *args, const char **ret_flag, const char **ret_value);

// The settings that hold for this call: the --config file ($ELEANOR_CONFIG), over it the --gpu-config file
// ($ELEANOR_GPU_CONFIG), ELEANOR_ variables, flags.
// `args` stays where it is. Sets the log level too.
int el_args_config(const struct el_args *args, struct el_config *ret_config);

// "eleanor VERB: detail" on stderr; returns EL_EXIT_FAILED.
int el_cmd_failed(const struct el_args *args);
// The same with a line that points to --help; returns EL_EXIT_USAGE.
int el_cmd_usage(const struct el_args *args);

// The verbs in the order of verbs.def, and their help.
extern const struct el_verb *const el_verbs[];
extern const int el_verb_count;
// EL_EINVAL names the nearest.
int el_verb_find(const char *name, const struct el_verb **ret_verb);
void el_verb_print_help(const struct el_verb *verb, FILE *stream);
void el_print_overview(FILE *stream); // what `eleanor help` says
// Every flag of `verb` in turn, settings included: 1 with *ret_flag filled, or 0 past the last.
int el_verb_flag(const struct el_verb *verb, int index, struct el_flag *ret_flag);

#endif
