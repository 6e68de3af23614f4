// SPDX-License-Identifier: Apache-2.0
// How far long work is: a bar with rate and time left that is redrawn in place on a terminal, else a plain
// line every few seconds. One thread at a time.
#ifndef EL_BASE_PROGRESS_H
#define EL_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct el_progress {
    FILE *stream;     // NULL: silent
    bool is_terminal; // of `stream`
    bool is_drawn;    // a bar stands on the terminal's last line
    bool has_line;    // a plain line was printed
    const char *what; // "all-MiniLM-L6-v2"; borrowed
    const char *unit; // "texts"; NULL: bytes
    uint64_t total;   // 0: unknown
    uint64_t done;
    uint64_t first;              // what was done before the start, which counts for no rate
    uint64_t start_ns;           // of el_now_ns
    uint64_t shown_ns;           // last time something was printed
    double rate;                 // units per second, of the last seconds
    uint64_t rate_done, rate_ns; // where that was last measured
};

// `stream` NULL: silent. All functions take a NULL progress as silent too.
void el_progress_open(struct el_progress *progress, FILE *stream);

// Begins a piece of work: `unit` NULL means bytes; `total` 0 means unknown; `done` counts as done before.
void el_progress_start(struct el_progress *progress, const char *what, const char *unit, uint64_t total,
                       uint64_t done);
void el_progress_set(struct el_progress *progress, uint64_t done);
void el_progress_add(struct el_progress *progress, uint64_t more);
// A line of its own that stays: "hub.example answers 503; trying again in 2 s".
void el_progress_note(struct el_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// Takes the bar away; on plain streams prints the last line when lines were printed.
void el_progress_finish(struct el_progress *progress);

#endif
