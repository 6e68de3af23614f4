// SPDX-License-Identifier: Apache-2.0
// Writes the completion script of a shell. The build installs what this prints, so that a new flag completes
// without another place to edit.
#include "cmd/completion.h"

#include <string.h>

#include "base/str.h"
#include "cmd/cmd.h"

// --max-body for max_body.
static void put_name(const char *name, FILE *stream) {
    fputs("--", stream);
    for (; *name; name++)
        fputc(*name == '_' ? '-' : *name, stream);
}

// "jsonl npy f32" for "jsonl|npy|f32".
static void put_choices(const char *choices, FILE *stream) {
    for (; *choices; choices++)
        fputc(*choices == '|' ? ' ' : *choices, stream);
}

// Text within single quotes: a quote or a bracket in it would end the quoting of bash, zsh or fish.
static void put_quoted(const char *text, FILE *stream) {
    for (; *text; text++)
        if (!strchr("'[]:", *text)) fputc(*text, stream);
}

static bool has_choices(const struct el_flag *flag) {
    return flag->argument && strchr(flag->argument, '|');
}

static void print_bash(FILE *stream) {
    struct el_flag flag;
    fputs("# bash completion for eleanor; made by `eleanor help --completion bash`.\n"
          "_eleanor() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]} "
          "flags=''\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W '",
          stream);
    for (int i = 0; i < el_verb_count; i++)
        fprintf(stream, "%s%s", i ? " " : "", el_verbs[i]->name);
    fputs("' -- \"$word\"))\n        return\n    fi\n    case \"$verb $before\" in\n", stream);
    for (int i = 0; i < el_verb_count; i++) {
        for (int j = 0; el_verb_flag(el_verbs[i], j, &flag); j++) {
            if (!has_choices(&flag)) continue;
            fprintf(stream, "    '%s ", el_verbs[i]->name);
            put_name(flag.name, stream);
            fputs("') COMPREPLY=($(compgen -W '", stream);
            put_choices(flag.argument, stream);
            fputs("' -- \"$word\")); return ;;\n", stream);
        }
    }
    fputs("    esac\n    case \"$verb\" in\n", stream);
    for (int i = 0; i < el_verb_count; i++) {
        fprintf(stream, "    %s) flags='", el_verbs[i]->name);
        for (int j = 0; el_verb_flag(el_verbs[i], j, &flag); j++) {
            if (j) fputc(' ', stream);
            put_name(flag.name, stream);
        }
        fputs("' ;;\n", stream);
    }
    fputs("    esac\n"
          "    case \"$word\" in\n"
          "    -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$word\")) ;;\n"
          "    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n"
          "    esac\n"
          "}\n"
          "complete -o filenames -F _eleanor eleanor\n",
          stream);
}

static void print_zsh_flag(const struct el_flag *flag, FILE *stream) {
    fputs("            '*", stream);
    put_name(flag->name, stream);
    if (flag->argument) fputc('=', stream);
    fputc('[', stream);
    put_quoted(flag->text, stream);
    fputc(']', stream);
    if (has_choices(flag)) {
        fputs(":choice:(", stream);
        put_choices(flag->argument, stream);
        fputc(')', stream);
    } else if (flag->argument) {
        fprintf(stream, ":%s:%s", flag->argument, el_streq(flag->argument, "FILE") ? "_files" : "");
    }
    fputs("' \\\n", stream);
}

static void print_zsh(FILE *stream) {
    struct el_flag flag;
    fputs("#compdef eleanor\n# made by `eleanor help --completion zsh`\n_eleanor() {\n"
          "    if (( CURRENT == 2 )); then\n        local -a verbs=(\n",
          stream);
    for (int i = 0; i < el_verb_count; i++) {
        fprintf(stream, "            '%s:", el_verbs[i]->name);
        put_quoted(el_verbs[i]->summary, stream);
        fputs("'\n", stream);
    }
    fputs("        )\n        _describe verb verbs\n        return\n    fi\n"
          "    local verb=$words[2]\n    shift words\n    (( CURRENT-- ))\n    case $verb in\n",
          stream);
    for (int i = 0; i < el_verb_count; i++) {
        fprintf(stream, "    %s)\n        _arguments \\\n", el_verbs[i]->name);
        for (int j = 0; el_verb_flag(el_verbs[i], j, &flag); j++)
            print_zsh_flag(&flag, stream);
        fputs("            '*:file:_files' ;;\n", stream);
    }
    fputs("    esac\n}\n_eleanor \"$@\"\n", stream);
}

static void print_fish_flag(const struct el_verb *verb, const struct el_flag *flag, FILE *stream) {
    fprintf(stream, "complete -c eleanor -n '__fish_seen_subcommand_from %s' -l ", verb->name);
    for (const char *p = flag->name; *p; p++)
        fputc(*p == '_' ? '-' : *p, stream);
    if (flag->letter) fprintf(stream, " -s %c", flag->letter);
    if (has_choices(flag)) {
        fputs(" -x -a '", stream);
        put_choices(flag->argument, stream);
        fputc('\'', stream);
    } else if (flag->argument) {
        fputs(el_streq(flag->argument, "FILE") ? " -r" : " -x", stream);
    }
    fputs(" -d '", stream);
    put_quoted(flag->text, stream);
    fputs("'\n", stream);
}

static void print_fish(FILE *stream) {
    struct el_flag flag;
    fputs("# fish completion for eleanor; made by `eleanor help --completion fish`.\n", stream);
    for (int i = 0; i < el_verb_count; i++) {
        fprintf(stream, "complete -c eleanor -f -n __fish_use_subcommand -a %s -d '", el_verbs[i]->name);
        put_quoted(el_verbs[i]->summary, stream);
        fputs("'\n", stream);
    }
    for (int i = 0; i < el_verb_count; i++)
        for (int j = 0; el_verb_flag(el_verbs[i], j, &flag); j++)
            print_fish_flag(el_verbs[i], &flag, stream);
}

void el_print_completion(const char *shell, FILE *stream) {
    if (el_streq(shell, "bash"))
        print_bash(stream);
    else if (el_streq(shell, "zsh"))
        print_zsh(stream);
    else
        print_fish(stream);
}
