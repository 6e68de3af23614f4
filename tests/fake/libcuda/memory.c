// SPDX-License-Identifier: Apache-2.0
// Memory of the fake GPUs and pinned memory: pages of their own between pages that nobody may touch. Freed
// memory stays untouchable for long. Where a kernel touches such a page, the page is opened, the kernel runs
// on, and the launch ends as CUDA_ERROR_ILLEGAL_ADDRESS; where the program itself does, it crashes.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_cuda.h"

enum {
    PAGE = 4096,
    ALIGN = 512,         // of addresses, as cuMemAlloc's
    KEPT_FREED = 1024,   // freed allocations whose addresses are not used again
    UNSET = 0xff,        // what new memory holds: NaN
    AROUND = 0xcd,       // what the bytes between an allocation and its guard pages hold
    UNSET_MAX = 64 << 20 // bytes of an allocation that are filled so; a test does not pay for more
};

struct block {
    int gpu; // -1: pinned
    CUcontext context;
    bool freed;
    char *address;
    size_t size;
    char *pages; // the first guard page, the memory's pages, the last guard page
    size_t length;
    struct block *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *blocks; // newest first; guarded by lock
static int freed_count;      // guarded by lock
static _Thread_local bool watching;
static _Thread_local volatile bool trespassed;
static struct sigaction previous;

// ---- the trespasser ----

static struct block *block_at(const char *address) {
    for (struct block *block = blocks; block; block = block->next)
        if (address >= block->pages && address < block->pages + block->length) return block;
    return NULL;
}

static void on_fault(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    static const char message[] =
        "fake libcuda: the program itself, not a kernel, touched a GPU's memory, or "
        "something touched memory that nobody has\n";
    char *page = (char *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1));
    bool known = false;
    if (watching) {
        pthread_mutex_lock(&lock); // never held by code that can fault
        known = block_at(page) && mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0;
        pthread_mutex_unlock(&lock);
    }
    if (known) {
        trespassed = true;
        return;
    }
    if (write(STDERR_FILENO, message, sizeof message - 1) < 0) _exit(1);
    sigaction(SIGSEGV, &previous, NULL); // the same fault comes again, and is the program's own
}

static void install(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, &previous);
}

void fake_memory_watch(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    trespassed = false;
    watching = true;
}

static size_t before(const struct block *block) {
    return (size_t)(block->address - block->pages - PAGE);
}

static size_t behind(const struct block *block) {
    return block->length - 2 * PAGE - before(block) - block->size;
}

static void close_guards(const struct block *block) {
    mprotect(block->pages, PAGE, PROT_NONE);
    mprotect(block->pages + block->length - PAGE, PAGE, PROT_NONE);
    if (block->freed) mprotect(block->pages, block->length, PROT_NONE);
}

static bool is_intact(const struct block *block) {
    for (size_t i = 1; i <= before(block); i++)
        if ((unsigned char)block->address[-(ptrdiff_t)i] != AROUND) return false;
    for (size_t i = 0; i < behind(block); i++)
        if ((unsigned char)block->address[block->size + i] != AROUND) return false;
    return true;
}

static void surround(const struct block *block) {
    memset(block->address - before(block), AROUND, before(block));
    memset(block->address + block->size, AROUND, behind(block));
}

bool fake_memory_watch_end(void) {
    bool good = !trespassed;
    watching = false;
    pthread_mutex_lock(&lock);
    for (struct block *block = blocks; block; block = block->next) {
        if (trespassed) close_guards(block);
        if (block->freed || is_intact(block)) continue;
        surround(block);
        good = false;
    }
    pthread_mutex_unlock(&lock);
    return good;
}

// ---- allocations ----

static size_t round_up(size_t size, size_t unit) {
    return (size + unit - 1) / unit * unit;
}

void *fake_memory_open(int gpu, CUcontext context, size_t size) {
    struct block *block = calloc(1, sizeof *block);
    const size_t used = round_up(size, ALIGN), pages = round_up(used, PAGE);
    if (!block || size > SIZE_MAX / 2) goto fail;
    block->length = pages + 2 * PAGE;
    block->pages = mmap(NULL, block->length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block->pages == MAP_FAILED) goto fail;
    if (mprotect(block->pages + PAGE, pages, PROT_READ | PROT_WRITE) < 0) {
        munmap(block->pages, block->length);
        goto fail;
    }
    block->gpu = gpu;
    block->context = context;
    block->size = size;
    block->address = block->pages + PAGE + pages - used; // it ends at the guard page
    memset(block->address, UNSET, size < UNSET_MAX ? size : UNSET_MAX);
    surround(block);
    pthread_mutex_lock(&lock);
    block->next = blocks;
    blocks = block;
    pthread_mutex_unlock(&lock);
    if (gpu >= 0) fake_machine()->gpus[gpu].allocated += (int64_t)used;
    return block->address;
fail:
    free(block);
    return NULL;
}

// Gives back the addresses of the oldest allocation that is freed. There is one; the lock is held.
static void forget_oldest(void) {
    struct block **place = &blocks, **oldest = NULL;
    for (; *place; place = &(*place)->next)
        if ((*place)->freed) oldest = place;
    struct block *block = *oldest;
    *oldest = block->next;
    munmap(block->pages, block->length);
    free(block);
    freed_count--;
}

static void close_block(struct block *block) {
    block->freed = true;
    mprotect(block->pages, block->length, PROT_NONE);
    madvise(block->pages, block->length, MADV_DONTNEED);
    if (block->gpu >= 0) fake_machine()->gpus[block->gpu].allocated -= (int64_t)round_up(block->size, ALIGN);
    freed_count++;
}

bool fake_memory_close(int gpu, void *address) {
    pthread_mutex_lock(&lock);
    struct block *block = block_at(address);
    const bool good = block && !block->freed && block->gpu == gpu && block->address == address;
    if (good) {
        close_block(block);
        if (freed_count > KEPT_FREED) forget_oldest();
    }
    pthread_mutex_unlock(&lock);
    return good;
}

void fake_memory_close_all(CUcontext context, long *ret_device, long *ret_pinned) {
    *ret_device = *ret_pinned = 0;
    pthread_mutex_lock(&lock);
    for (struct block *block = blocks; block; block = block->next) {
        if (block->context != context || block->freed) continue;
        ++*(block->gpu < 0 ? ret_pinned : ret_device);
        close_block(block);
    }
    while (freed_count > KEPT_FREED)
        forget_oldest();
    pthread_mutex_unlock(&lock);
}

bool fake_memory_owns(int gpu, const void *address, size_t size) {
    const char *first = address;
    pthread_mutex_lock(&lock);
    const struct block *block = block_at(first);
    const bool good = block && !block->freed && block->gpu == gpu && first >= block->address &&
                      first + size <= block->address + block->size;
    pthread_mutex_unlock(&lock);
    return good;
}
