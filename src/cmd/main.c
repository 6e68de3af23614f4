// SPDX-License-Identifier: Apache-2.0
// The one binary: finds the verb, checks its flags before it runs, and sees to it that what was printed
// arrived.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"

#define VERB(name) extern const struct el_verb el_verb_##name;
#include "cmd/verbs.def"
#undef VERB

const struct el_verb *const el_verbs[] = {
#define VERB(name) &el_verb_##name,
#include "cmd/verbs.def"
#undef VERB
};
const int el_verb_count = EL_COUNT(el_verbs);

int el_verb_find(const char *name, const struct el_verb **ret_verb) {
    const char *names[EL_COUNT(el_verbs)];
    for (int i = 0; i < el_verb_count; i++) {
        names[i] = el_verbs[i]->name;
        if (el_streq(name, names[i])) {
            *ret_verb = el_verbs[i];
            return 0;
        }
    }
    const char *near = el_nearest(name, names, EL_COUNT(names));
    if (near) return el_fail(EL_EINVAL, "unknown verb \"%s\"; did you mean \"%s\"?", name, near);
    return el_fail(EL_EINVAL, "unknown verb \"%s\"", name);
}

// Walks the arguments once, so that a verb meets only flags that are right. 1 when --help is among them.
static int check_args(struct el_args args) {
    const char *flag, *value;
    int operands = 0, more;
    bool help = false;
    while ((more = el_args_next(&args, &flag, &value)) > 0) {
        help |= el_streq(flag, "help");
        operands += flag == NULL;
    }
    if (more < 0 || help) return help ? 1 : more;
    const struct el_verb *verb = args.verb;
    if (operands < verb->min_operands) return el_fail(EL_EINVAL, "%s is missing", verb->operands);
    if (verb->max_operands >= 0 && operands > verb->max_operands)
        return el_fail(EL_EINVAL, "%d arguments beside the flags, at most %d may stand there", operands,
                       verb->max_operands);
    return 0;
}

static int run_verb(const struct el_verb *verb, char **argv) {
    struct el_args args = {.verb = verb, .argv = argv};
    int checked = check_args(args);
    if (checked < 0) return el_cmd_usage(&args);
    if (checked > 0) el_verb_print_help(verb, stdout);
    int code = checked > 0 ? EL_EXIT_DONE : verb->run(&args);
    if (code == EL_EXIT_DONE && (fflush(stdout) != 0 || ferror(stdout))) {
        el_fail(EL_EIO, "can't write to standard output: %s", strerror(errno));
        return el_cmd_failed(&args);
    }
    return code;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); // a reader that has gone is a write error like any other,
    signal(SIGXFSZ, SIG_IGN); // and so is a file that may not grow
    if (argc < 2) {
        el_print_overview(stderr);
        return EL_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (el_streq(name, "--help") || el_streq(name, "-h")) name = "help";
    if (el_streq(name, "--version")) name = "version";
    const struct el_verb *verb;
    if (el_verb_find(name, &verb) < 0) {
        fprintf(stderr, "eleanor: %s\nTry: eleanor help\n", el_error_detail());
        return EL_EXIT_USAGE;
    }
    return run_verb(verb, argv + 2);
}
