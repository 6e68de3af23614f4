// SPDX-License-Identifier: Apache-2.0
// Staging: bytes in ordinary host memory go to and from a device through a ring of pinned blocks, in chunks,
// so that the copy of one chunk overlaps the transfer of another. Of use on devices with memory of their own;
// on the host a plain upload does. One thread at a time, that of the stream.
#ifndef EL_DEVICE_STAGING_H
#define EL_DEVICE_STAGING_H

#include "device/device.h"

struct el_staging;

// `blocks` of block_size bytes each, for this stream, which must outlive it. Two blocks of some MB do.
// EL_EINVAL (no blocks, no bytes), EL_ENOMEM, EL_ELOST.
int el_staging_open(struct el_stream *stream, int blocks, size_t block_size, struct el_staging **ret_staging);
// Waits for the transfers in flight. Takes NULL.
void el_staging_close(struct el_staging *staging);

// When it returns the host bytes are free again, while the last transfers may still be queued on the stream.
int el_staging_upload(struct el_staging *staging, void *to, const void *host, size_t size);
// In the order of the stream; when it returns the bytes are there.
int el_staging_download(struct el_staging *staging, void *host, const void *from, size_t size);

#endif
