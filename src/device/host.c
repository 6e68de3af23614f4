// SPDX-License-Identifier: Apache-2.0
// The host back-end: plain memory. Its one device is the machine's processors.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "device/backend.h"

static int host_count(void) {
    return 1;
}

// "model name : AMD EPYC" of the first processor; "processor" where /proc does not say.
static void cpu_name(char *name, size_t size) {
    char line[256];
    snprintf(name, size, "processor");
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (!el_starts_with(line, "model name") || !colon) continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(name, size, "%s", colon + 2);
        break;
    }
    fclose(file);
}

static int host_open(struct el_device *device, int index) {
    (void)index;
    char name[64];
    cpu_name(name, sizeof name);
    snprintf(device->name, sizeof device->name, "%s, %d threads", name, el_cpu_count());
    return 0;
}

static void host_close(struct el_device *device) {
    (void)device;
}

static int host_alloc(struct el_device *device, size_t size, struct el_buffer *ret_buffer) {
    (void)device;
    return el_alloc_aligned(size, 1, &ret_buffer->host);
}

static void host_free(struct el_buffer *buffer) {
    el_free(buffer->host);
}

static int host_upload(struct el_buffer *buffer, size_t offset, const void *bytes, size_t size) {
    memcpy((char *)buffer->host + offset, bytes, size);
    return 0;
}

static int host_download(const struct el_buffer *buffer, size_t offset, void *bytes, size_t size) {
    memcpy(bytes, (const char *)buffer->host + offset, size);
    return 0;
}

static int host_memory(const struct el_device *device, uint64_t *ret_total, uint64_t *ret_free) {
    (void)device;
    long page = sysconf(_SC_PAGESIZE), total = sysconf(_SC_PHYS_PAGES),
         free_pages = sysconf(_SC_AVPHYS_PAGES);
    if (page < 0 || total < 0 || free_pages < 0)
        return el_fail(EL_EUNSUPPORTED, "the system does not tell its memory");
    *ret_total = (uint64_t)total * (uint64_t)page;
    *ret_free = (uint64_t)free_pages * (uint64_t)page;
    return 0;
}

extern const struct el_backend el_backend_host;
const struct el_backend el_backend_host = {
    .name = "host",
    .count = host_count,
    .open = host_open,
    .close = host_close,
    .alloc = host_alloc,
    .free = host_free,
    .upload = host_upload,
    .download = host_download,
    .memory = host_memory,
};
