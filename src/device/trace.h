// SPDX-License-Identifier: Apache-2.0
// A trace: spans of time on named tracks, written as Chrome trace events (JSON), which chrome://tracing and
// Perfetto show. The file is whole JSON after every flush, so what a process that dies leaves can be read.
//
// A device that is opened with it (el_device_options, el_manager_options) traces its streams
// (stream_trace.h). Any thread.
#ifndef EL_DEVICE_TRACE_H
#define EL_DEVICE_TRACE_H

#include <stdint.h>

struct el_trace;

// EL_EIO (names the path), EL_ENOMEM.
int el_trace_open(const char *path, struct el_trace **ret_trace);
// Nothing may trace to it any more. Takes NULL.
void el_trace_close(struct el_trace *trace);

// A new track; its number. Never fails: where memory is short the name is missing.
int el_trace_track(struct el_trace *trace, const char *name);

// Times of el_now_ns; bytes 0: not told. Never fails the caller: what went wrong el_trace_flush tells.
void el_trace_span(struct el_trace *trace, int track, const char *name, uint64_t begin_ns, uint64_t end_ns,
                   uint64_t bytes);

// Writes what is buffered, which happens every second at the latest that spans come. The first error since
// open: EL_EIO, EL_ENOMEM (spans are missing).
int el_trace_flush(struct el_trace *trace);

#endif
