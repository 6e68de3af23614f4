// SPDX-License-Identifier: Apache-2.0
// What a stream does, in its device's trace: device.c calls these around each copy and launch while
// device->trace is set. Events are recorded before and after; at the sync they become spans on the tracks
// "cuda:0 stream 1 compute" and "... copy". No failure of tracing becomes one of the work.
#ifndef EL_DEVICE_STREAM_TRACE_H
#define EL_DEVICE_STREAM_TRACE_H

#include "device/device.h"

enum el_track { EL_TRACK_COMPUTE, EL_TRACK_COPY, EL_TRACKS };

// Before the first thing that is queued after a sync: pins the device's clock to the host's.
void el_stream_trace_touch(struct el_stream *stream);
// `name` is borrowed until the sync; bytes 0: not told.
void el_stream_trace_begin(struct el_stream *stream, enum el_track track, const char *name, size_t bytes);
void el_stream_trace_end(struct el_stream *stream, int status);     // of the call between
void el_stream_trace_resolve(struct el_stream *stream, int status); // after a sync, with its status
void el_stream_trace_close(struct el_stream *stream);

#endif
