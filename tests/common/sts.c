// SPDX-License-Identifier: Apache-2.0
// Reads sts-test.csv: tab-separated, the score in field 4, the sentences in fields 5 and 6, no quoting.
#include "common/sts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

// The next field of a line, ended by a tab or the line's end; *cursor moves behind it.
static struct el_text next_field(char **cursor) {
    char *start = *cursor;
    const size_t length = strcspn(start, "\t\n\r");
    *cursor = start + length + (start[length] == '\t');
    return (struct el_text){.data = start, .length = length};
}

static bool join_long(struct sts *sts) {
    size_t start[STS_LONG + 1];
    for (int i = 0; i < STS_LONG; i++) {
        start[i] = sts->joined.length;
        for (int j = 0; j < STS_LONG_JOIN; j++) {
            const struct el_text *s = &sts->sentence[i * STS_LONG_JOIN + j];
            if (j && el_str_putc(&sts->joined, ' ') < 0) return false;
            if (el_str_append(&sts->joined, s->data, s->length) < 0) return false;
        }
    }
    start[STS_LONG] = sts->joined.length;
    for (int i = 0; i < STS_LONG; i++)
        sts->long_text[i] =
            (struct el_text){.data = sts->joined.data + start[i], .length = start[i + 1] - start[i]};
    return true;
}

bool sts_read(const char *path, struct sts *sts) {
    memset(sts, 0, sizeof *sts);
    if (el_read_file(path, 1 << 24, &sts->file) < 0) {
        printf("SKIPPED: %s\n", el_error_detail());
        return false;
    }
    int pair = 0;
    for (char *line = sts->file.data; *line && pair < STS_PAIRS; pair++) {
        char *cursor = line;
        struct el_text field[7];
        for (int i = 0; i < 7; i++)
            field[i] = next_field(&cursor);
        sts->score[pair] = strtod(field[4].data, NULL);
        sts->sentence[2 * pair] = field[5];
        sts->sentence[2 * pair + 1] = field[6];
        char *end = strchr(line, '\n');
        line = end ? end + 1 : line + strlen(line);
    }
    if (pair == STS_PAIRS && join_long(sts)) return true;
    printf("SKIPPED: %s has %d pairs, not %d\n", path, pair, STS_PAIRS);
    return false;
}

void sts_done(struct sts *sts) {
    el_str_done(&sts->file);
    el_str_done(&sts->joined);
}
