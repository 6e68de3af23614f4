// SPDX-License-Identifier: Apache-2.0
// The file of stamps: a head with a sum over all that follows, then records by path, in this machine's order
// of bytes.
#include "files/stamps.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

struct entry {
    const char *path;
    struct el_stamp stamp;
};

struct entries {
    struct entry *list;
    size_t count, capacity;
};

struct el_stamps {
    char *path;
    struct el_str bytes; // of the file; the old paths lie in it
    struct entries old;  // by path
    struct entries fresh;
};

static const char magic[8] = "ELSTMP1";
struct head {
    char magic[8];
    struct el_hash128 sum; // of the records
};

// Followed by the path and a NUL.
struct record {
    struct el_stamp stamp;
    uint64_t length; // of the path
};

static int append(struct entries *entries, const struct entry *entry) {
    EL_TRY(el_grow(&entries->list, sizeof *entries->list, entries->count, &entries->capacity));
    entries->list[entries->count++] = *entry;
    return 0;
}

// ---- reading ----

// EL_EFORMAT: these are no records.
static int parse(const char *bytes, size_t size, struct entries *entries) {
    struct head head;
    if (size < sizeof head) return EL_EFORMAT;
    memcpy(&head, bytes, sizeof head);
    const struct el_hash128 sum = el_siphash_of(NULL, bytes + sizeof head, size - sizeof head);
    if (memcmp(head.magic, magic, sizeof magic) != 0 || !el_hash_equal(&head.sum, &sum)) return EL_EFORMAT;
    for (size_t at = sizeof head; at < size;) {
        struct record record;
        if (size - at < sizeof record) return EL_EFORMAT;
        memcpy(&record, bytes + at, sizeof record);
        at += sizeof record;
        if (record.length >= size - at || bytes[at + record.length]) return EL_EFORMAT;
        if ((unsigned)record.stamp.outcome >= EL_FILE_OUTCOMES) return EL_EFORMAT;
        EL_TRY(append(entries, &(struct entry){bytes + at, record.stamp}));
        at += record.length + 1;
    }
    return 0;
}

static void close_p(struct el_stamps **stamps) {
    el_stamps_close(*stamps);
}

int el_stamps_open(const char *path, struct el_stamps **ret_stamps) {
    el_auto(close_p) struct el_stamps *stamps = NULL;
    EL_TRY(el_zalloc(1, sizeof *stamps, &stamps));
    EL_TRY(el_strdup(path, &stamps->path));
    int status = el_read_file(path, SIZE_MAX, &stamps->bytes);
    if (status == 0) status = parse(stamps->bytes.data, stamps->bytes.length, &stamps->old);
    if (status == EL_ENOMEM) return status;
    if (status < 0) stamps->old.count = 0;
    *ret_stamps = el_steal(stamps);
    return 0;
}

void el_stamps_close(struct el_stamps *stamps) {
    if (!stamps) return;
    el_free(stamps->path);
    el_str_done(&stamps->bytes);
    el_free(stamps->old.list);
    el_free(stamps->fresh.list);
    el_free(stamps);
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

const struct el_stamp *el_stamps_find(const struct el_stamps *stamps, const char *path,
                                      const struct el_file_stamp *file, uint64_t rules) {
    const struct entry wanted = {.path = path};
    if (!stamps->old.count) return NULL;
    const struct entry *found = bsearch(&wanted, stamps->old.list, stamps->old.count, sizeof wanted, by_path);
    const bool holds = found && found->stamp.rules == rules && el_file_stamp_equal(&found->stamp.file, file);
    return holds ? &found->stamp : NULL;
}

// ---- writing ----

int el_stamps_put(struct el_stamps *stamps, const char *path, const struct el_stamp *stamp) {
    return append(&stamps->fresh, &(struct entry){path, *stamp});
}

static int write_entry(struct el_str *out, const struct entry *entry) {
    struct record record;
    memset(&record, 0, sizeof record); // no stray bytes in padding
    record.stamp.file = entry->stamp.file;
    record.stamp.rules = entry->stamp.rules;
    record.stamp.hash = entry->stamp.hash;
    record.stamp.outcome = entry->stamp.outcome;
    record.length = strlen(entry->path);
    EL_TRY(el_str_append(out, &record, sizeof record));
    return el_str_append(out, entry->path, record.length + 1);
}

int el_stamps_save(struct el_stamps *stamps, bool (*keeps)(void *context, const char *path), void *context) {
    struct el_str out el_auto(el_str_done) = {0};
    const struct entries *old = &stamps->old, *fresh = &stamps->fresh;
    struct head head = {.sum = {{0, 0}}};
    memcpy(head.magic, magic, sizeof magic);
    if (fresh->count) qsort(fresh->list, fresh->count, sizeof *fresh->list, by_path);
    EL_TRY(el_str_append(&out, &head, sizeof head));
    for (size_t i = 0, j = 0; i < old->count || j < fresh->count;) {
        const int order = i == old->count     ? 1
                          : j == fresh->count ? -1
                                              : by_path(&old->list[i], &fresh->list[j]);
        if (order >= 0)
            EL_TRY(write_entry(&out, &fresh->list[j++]));
        else if (keeps(context, old->list[i].path))
            EL_TRY(write_entry(&out, &old->list[i]));
        i += order <= 0;
    }
    head.sum = el_siphash_of(NULL, out.data + sizeof head, out.length - sizeof head);
    memcpy(out.data, &head, sizeof head);
    const bool same =
        out.length == stamps->bytes.length && memcmp(out.data, stamps->bytes.data, out.length) == 0;
    return same ? 0 : el_write_file(stamps->path, out.data, out.length);
}
