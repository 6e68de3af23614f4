// SPDX-License-Identifier: Apache-2.0
// A file to its text: unpacked, converted to UTF-8, and out of PDF or HTML; or why not.
#ifndef EL_FILES_READ_H
#define EL_FILES_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "files/bytes.h"
#include "files/kind.h"

enum el_file_outcome {
#define X(outcome, key, text, fails, lasts) EL_FILE_##outcome,
#include "files/outcome.def"
#undef X
    EL_FILE_OUTCOMES
};
struct el_file_outcome_info {
    const char *key, *text; // "too_large"; "too large (--max-file)"
    bool fails;             // else it was skipped
    bool lasts;             // the same bytes have it always by the same limit: it need not be tried again
};
extern const struct el_file_outcome_info el_file_outcomes[EL_FILE_OUTCOMES];

struct el_file_text {
    enum el_file_outcome outcome; // READ: all below is there
    struct el_file_stamp stamp;   // of what was read
    bool is_settled;              // the stamp is old enough that a later change will change it
    enum el_file_kind kind;
    struct el_str metadata;         // JSON: {"kind":"html","title":"..."}
    struct el_str text, title;      // valid UTF-8; of HTML that has one
    bool is_unpacked, is_converted; // for the summary
    char why[160];                  // of a failure, for a user
};

// `limit` holds for the file, for what it unpacks to and for its text. Writes an outcome for whatever the
// file may be; EL_ENOMEM. Any thread. Clear it with el_file_text_done.
int el_file_read(const char *path, size_t limit, struct el_file_text *ret_text);
void el_file_text_done(struct el_file_text *text);

#endif
