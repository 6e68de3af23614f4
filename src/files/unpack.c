// SPDX-License-Identifier: Apache-2.0
// Unpacking by libarchive, which stops where the limit is: a bomb costs that much and no more.
#include "files/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

static const struct {
    const char *suffix;
    char magic[7];
    size_t length; // of the magic
} packings[] = {
    {".gz", "\x1f\x8b\x08", 3},
    {".xz",
     "\xFD"
     "7zXZ\0",
     6},
    {".bz2", "BZh", 3},
    {".zst", "\x28\xB5\x2F\xFD", 4},
};

bool el_is_packed(const void *bytes, size_t size) {
    for (size_t i = 0; i < EL_COUNT(packings); i++)
        if (size >= packings[i].length && memcmp(bytes, packings[i].magic, packings[i].length) == 0)
            return true;
    return false;
}

size_t el_unpacked_name(const char *name) {
    for (size_t i = 0; i < EL_COUNT(packings); i++)
        if (el_ends_with(name, packings[i].suffix)) return strlen(name) - strlen(packings[i].suffix);
    return strlen(name);
}

static void free_reader(struct archive **reader) {
    archive_read_free(*reader);
}

// Of a decoder that had no memory, libarchive may say no more than that it failed.
static int fail_reader(struct archive *reader) {
    enum { DECODER = 8 << 20 }; // bytes that one needs: bzip2 up to 4 MB, zstd mostly 8 MiB at most
    const char *reason = archive_error_string(reader);
    if (archive_errno(reader) == ENOMEM || el_mem_check(DECODER) < 0)
        return el_fail(EL_ENOMEM, "no memory to unpack");
    return el_fail(EL_EFORMAT, "damaged: %s", reason ? reason : "its packing is none that is known");
}

int el_unpack(const void *bytes, size_t size, size_t limit, struct el_str *text) {
    enum { BLOCK = 65536, MEMORY = 1 << 18 }; // that libarchive needs itself; it ends the process without
    struct archive_entry *entry;
    EL_TRY(el_mem_check(MEMORY));
    el_auto(free_reader) struct archive *reader = archive_read_new();
    if (!reader) return el_fail(EL_ENOMEM, "no memory to unpack");
    archive_read_support_filter_gzip(reader);
    archive_read_support_filter_xz(reader);
    archive_read_support_filter_bzip2(reader);
    archive_read_support_filter_zstd(reader);
    archive_read_support_format_raw(reader);
    if (archive_read_open_memory(reader, bytes, size) != ARCHIVE_OK) return fail_reader(reader);
    const int found = archive_read_next_header(reader, &entry);
    if (found == ARCHIVE_EOF) return 0;
    if (found != ARCHIVE_OK) return fail_reader(reader);
    for (const size_t before = text->length;;) {
        EL_TRY(el_str_reserve(text, BLOCK));
        const la_ssize_t got = archive_read_data(reader, text->data + text->length, BLOCK);
        if (got < 0) return fail_reader(reader);
        if (got == 0) return 0;
        text->length += (size_t)got;
        text->data[text->length] = '\0';
        if (text->length - before > limit)
            return el_fail(EL_ETOOBIG, "unpacks to more than %zu bytes", limit);
    }
}
