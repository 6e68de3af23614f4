// SPDX-License-Identifier: Apache-2.0
// The notes are a list in shared memory, each with the bytes that a write replaced. What is to be lost is
// drawn as a moment for each sector, page or file: its notes from that moment on are undone, the newest
// first.
#include "forgetful.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SECTOR = 512, PAGE = 4096, NAME = 64, LOG_SIZE = 256 << 20 };
enum kind { WRITTEN, CUT, MADE, REMOVED, SYNCED, FOLDER_SYNCED };

struct note {
    enum kind kind;
    char name[NAME]; // of the file in the folder
    uint64_t at;     // WRITTEN: the offset
    uint64_t size;   // WRITTEN: bytes that follow, of what was there; REMOVED: number in the stash
    uint64_t before; // WRITTEN, CUT: the file's size
};

struct log {
    uint64_t used, count, removed;
    bool full;
    _Alignas(struct note) uint8_t bytes[LOG_SIZE];
};

static struct log *notes;
static char folder[256], stash[256];
static bool watching;

void forgetful_start(const char *on_disk, const char *aside) {
    snprintf(folder, sizeof folder, "%s", on_disk);
    snprintf(stash, sizeof stash, "%s", aside);
    notes =
        mmap(NULL, sizeof *notes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (notes == MAP_FAILED) abort();
}

void forgetful_watch(void) {
    watching = true;
}

// ---- noting ----

static size_t note_size(const struct note *note) {
    const size_t bytes = note->kind == WRITTEN ? note->size : 0;
    return (sizeof *note + bytes + 7) / 8 * 8;
}

// Where the next note goes, with room for `bytes` behind it.
static struct note *new_note(enum kind kind, const char *name, size_t bytes) {
    if (notes->used + sizeof(struct note) + bytes + 8 > LOG_SIZE) {
        notes->full = true;
        return NULL;
    }
    struct note *note = (struct note *)(notes->bytes + notes->used);
    *note = (struct note){.kind = kind, .size = bytes};
    snprintf(note->name, sizeof note->name, "%s", name);
    return note;
}

// One that a kill leaves unfinished does not count: what it is about has not happened.
static void finish_note(const struct note *note) {
    if (!note) return;
    notes->used += note_size(note);
    __atomic_add_fetch(&notes->count, 1, __ATOMIC_RELEASE);
}

// The name within the folder, "" for the folder itself; NULL for what is elsewhere.
static const char *name_in_folder(const char *path) {
    const size_t length = strlen(folder);
    if (!watching || strncmp(path, folder, length) != 0) return NULL;
    return path[length] == '/' ? path + length + 1 : path[length] ? NULL : path + length;
}

static const char *name_of(int fd, char *path, size_t size) {
    char link[64];
    if (!watching) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, size - 1);
    if (length < 0) return NULL;
    path[length] = '\0';
    const char *name = name_in_folder(path);
    return name && strcmp(name + strlen(name) - (strlen(name) > 4 ? 4 : 0), "-shm") != 0 ? name : NULL;
}

static uint64_t size_of(int fd) {
    struct stat info;
    return fstat(fd, &info) == 0 ? (uint64_t)info.st_size : 0;
}

static void note_change(enum kind kind, int fd, uint64_t at, size_t size) {
    char path[512];
    const char *name = name_of(fd, path, sizeof path);
    if (!name) return;
    struct note *note = new_note(kind, name, size);
    if (!note) return;
    note->at = at;
    note->before = size_of(fd);
    memset(note + 1, 0, size);
    syscall(SYS_pread64, fd, note + 1, size, at); // what is behind the end stays zeros
    finish_note(note);
}

static ssize_t watched_write(int fd, const void *bytes, size_t size, off_t at) {
    note_change(WRITTEN, fd, (uint64_t)at, size);
    return syscall(SYS_pwrite64, fd, bytes, size, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at);
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) {
    return watched_write(fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at);
ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at) {
    return watched_write(fd, bytes, size, at);
}

static int watched_cut(int fd, off_t size) {
    const uint64_t before = size_of(fd);
    if ((uint64_t)size < before) note_change(WRITTEN, fd, (uint64_t)size, before - (uint64_t)size);
    note_change(CUT, fd, 0, 0);
    return (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size) {
    return watched_cut(fd, size);
}

int ftruncate64(int fd, off_t size);
int ftruncate64(int fd, off_t size) {
    return watched_cut(fd, size);
}

// The kernel need not sync: only a process goes down here.
static int watched_sync(int fd) {
    char path[512];
    const char *name = name_of(fd, path, sizeof path);
    if (name) finish_note(new_note(*name ? SYNCED : FOLDER_SYNCED, name, 0));
    return 0;
}

int fsync(int fd) {
    return watched_sync(fd);
}

int fdatasync(int fd) {
    return watched_sync(fd);
}

static int watched_open(const char *path, int flags, mode_t mode) {
    const char *name = flags & O_CREAT ? name_in_folder(path) : NULL;
    if (name && access(path, F_OK) != 0) finish_note(new_note(MADE, name, 0));
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static mode_t take_mode(int flags, va_list list) {
    return flags & O_CREAT ? va_arg(list, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    const mode_t mode = take_mode(flags, list);
    va_end(list);
    return watched_open(path, flags, mode);
}

int open64(const char *path, int flags, ...);
int open64(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    const mode_t mode = take_mode(flags, list);
    va_end(list);
    return watched_open(path, flags, mode);
}

int unlink(const char *path) {
    char aside[512];
    const char *name = name_in_folder(path);
    if (!name) return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    const uint64_t number = notes->removed++;
    struct note *note = new_note(REMOVED, name, 0);
    if (note) note->size = number;
    finish_note(note);
    snprintf(aside, sizeof aside, "%s/%llu", stash, (unsigned long long)number);
    return rename(path, aside);
}

// ---- losing ----

static uint64_t mix(uint64_t x) { // splitmix64
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

struct cutting {
    const struct note **list; // [count], the oldest first
    uint64_t seed;
    uint64_t grain; // bytes that share a fate: SECTOR, PAGE or all
    size_t first;   // note that no sync covers
    size_t lost;
};

// Whether chance takes back what stands in note `number` for a place: all from a drawn moment on.
static bool is_lost(const struct cutting *cutting, size_t number, const char *name, uint64_t place) {
    uint64_t drawn = mix(cutting->seed ^ place);
    for (; *name; name++)
        drawn = mix(drawn ^ (uint64_t)*name);
    return number >= cutting->first + drawn % (notes->count - cutting->first + 1);
}

static bool is_synced(const struct cutting *cutting, size_t number) {
    const struct note *note = cutting->list[number];
    const bool is_name = note->kind == MADE || note->kind == REMOVED;
    for (size_t i = number + 1; i < notes->count; i++) {
        const struct note *later = cutting->list[i];
        if (is_name ? later->kind == FOLDER_SYNCED
                    : later->kind == SYNCED && strcmp(later->name, note->name) == 0)
            return true;
    }
    return false;
}

static void take_back_bytes(struct cutting *cutting, size_t number, const struct note *note, int fd) {
    const uint8_t *bytes = (const uint8_t *)(note + 1);
    for (uint64_t done = 0; done < note->size;) {
        const uint64_t at = note->at + done, left = note->size - done, room = SECTOR - at % SECTOR;
        const uint64_t some = left < room ? left : room;
        if (is_lost(cutting, number, note->name, at / cutting->grain)) {
            syscall(SYS_pwrite64, fd, bytes + done, some, at);
            cutting->lost++;
        }
        done += some;
    }
}

static void take_back_change(struct cutting *cutting, size_t number, const struct note *note,
                             const char *path) {
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR, 0);
    if (fd < 0) return; // it is gone
    const uint64_t size = size_of(fd);
    if (note->kind == WRITTEN) take_back_bytes(cutting, number, note, fd);
    if (is_lost(cutting, number, note->name, UINT64_MAX)) {
        syscall(SYS_ftruncate, fd, note->before);
        cutting->lost += note->before != size;
    } else {
        syscall(SYS_ftruncate, fd, size); // bytes behind the end do not make it longer
    }
    close(fd);
}

static void take_back(struct cutting *cutting, size_t number) {
    const struct note *note = cutting->list[number];
    char path[512], aside[512];
    snprintf(path, sizeof path, "%s/%s", folder, note->name);
    snprintf(aside, sizeof aside, "%s/%llu", stash, (unsigned long long)note->size);
    if (note->kind == WRITTEN || note->kind == CUT) take_back_change(cutting, number, note, path);
    if (note->kind == MADE && is_lost(cutting, number, "", 0))
        cutting->lost += syscall(SYS_unlinkat, AT_FDCWD, path, 0) == 0;
    if (note->kind == REMOVED && is_lost(cutting, number, "", 0)) cutting->lost += rename(aside, path) == 0;
}

size_t forgetful_cut(unsigned seed) {
    static const uint64_t grains[] = {SECTOR, PAGE, UINT64_MAX};
    struct cutting cutting = {.seed = mix(seed), .grain = grains[seed % 3]};
    const uint8_t *at = notes->bytes;
    if (notes->full) {
        fprintf(stderr, "the notes of the disk are full\n");
        abort();
    }
    cutting.list = calloc(notes->count + 1, sizeof *cutting.list);
    for (size_t i = 0; i < notes->count; at += note_size(cutting.list[i++]))
        cutting.list[i] = (const struct note *)at;
    while (cutting.first < notes->count && is_synced(&cutting, cutting.first))
        cutting.first++;
    for (size_t i = notes->count; i-- > 0;)
        if (!is_synced(&cutting, i)) take_back(&cutting, i);
    for (uint64_t i = 0; i < notes->removed; i++) {
        char aside[512];
        snprintf(aside, sizeof aside, "%s/%llu", stash, (unsigned long long)i);
        unlink(aside);
    }
    free(cutting.list);
    munmap(notes, sizeof *notes);
    notes = NULL;
    return cutting.lost;
}
