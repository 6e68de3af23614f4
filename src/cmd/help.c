// SPDX-License-Identifier: Apache-2.0
// `eleanor help [VERB]`, the --help of every verb, and the shell completions: all made from the tables of
// flags.
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/completion.h"

enum { TEXT_COLUMN = 30 };

void el_print_overview(FILE *stream) {
    fputs("eleanor serves models on your own hardware: text in, vectors out.\n\nUsage: eleanor VERB [FLAGS] "
          "...\n\n",
          stream);
    for (int i = 0; i < el_verb_count; i++)
        fprintf(stream, "  %-9s %s\n", el_verbs[i]->name, el_verbs[i]->summary);
    fputs("\nStart with:\n"
          "  eleanor pull all-MiniLM-L6-v2\n"
          "  eleanor serve\n\n"
          "`eleanor VERB --help` lists the flags of a verb.\n",
          stream);
}

static void print_flag(const struct el_flag *flag, FILE *stream) {
    char left[160], name[64];
    snprintf(name, sizeof name, "%s", flag->name);
    for (char *p = name; *p; p++)
        if (*p == '_') *p = '-';
    int width = snprintf(left, sizeof left, "  %c%c%c --%s%s%s", flag->letter ? '-' : ' ',
                         flag->letter ? flag->letter : ' ', flag->letter ? ',' : ' ', name,
                         flag->argument ? " " : "", flag->argument ? flag->argument : "");
    if (width >= TEXT_COLUMN)
        fprintf(stream, "%s\n%*s%s", left, TEXT_COLUMN, "", flag->text);
    else
        fprintf(stream, "%-*s%s", TEXT_COLUMN, left, flag->text);
    struct el_setting_info info;
    if (el_setting_find(flag->name, &info) && info.initial && info.argument)
        fprintf(stream, " (default %s)", info.initial);
    fputc('\n', stream);
}

void el_verb_print_help(const struct el_verb *verb, FILE *stream) {
    fprintf(stream, "eleanor %s: %s.\n\nUsage: eleanor %s [FLAGS]%s%s\n\nFlags:\n", verb->name, verb->summary,
            verb->name, *verb->operands ? " " : "", verb->operands);
    struct el_flag flag;
    for (int i = 0; el_verb_flag(verb, i, &flag); i++)
        print_flag(&flag, stream);
    if (verb->details) fprintf(stream, "\n%s\n", verb->details);
    if (verb->settings)
        fputs("\nA flag beats its variable (--max-body: ELEANOR_MAX_BODY), which beats the --config file.\n",
              stream);
    fprintf(stream, "\nExit status: 0 done, 1 failed, 2 wrong usage. The manual: man eleanor-%s\n",
            verb->name);
}

static int run(struct el_args *args) {
    const char *topic = NULL, *shell = NULL;
    for (const char *flag, *value; el_args_next(args, &flag, &value) > 0;) {
        if (!flag)
            topic = value;
        else if (el_streq(flag, "completion"))
            shell = value;
    }
    const struct el_verb *verb;
    if (shell)
        el_print_completion(shell, stdout);
    else if (!topic)
        el_print_overview(stdout);
    else if (el_verb_find(topic, &verb) < 0)
        return el_cmd_usage(args);
    else
        el_verb_print_help(verb, stdout);
    return EL_EXIT_DONE;
}

const struct el_verb el_verb_help = {
    .name = "help",
    .operands = "[VERB]",
    .summary = "say what the verbs do, or one of them",
    .flags =
        (const struct el_flag[]){{"completion", 0, "bash|zsh|fish", "print the completion script of a shell"},
                                 {0}},
    .max_operands = 1,
    .run = run,
};
