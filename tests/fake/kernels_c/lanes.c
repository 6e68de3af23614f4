// SPDX-License-Identifier: Apache-2.0
// Runs a kernel's lanes as fibers: each in turn until it waits or ends, then whoever may go on.
#include "lanes.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fiber.h"

enum { LOCAL_BYTES = 96 << 10, GARBAGE = 0xff }; // four bytes of it are a NaN

enum waits { RUNS, AT_BARRIER, AT_WARP, ENDED };

struct lane {
    struct el_fiber *fiber;
    int number;
    enum waits waits;
    const char *file; // where
    int line;
    el_warp_fn *act;
    void *item;
    size_t local; // bytes of the group's memory that it has declared
    bool owns;    // its own memory is zeroed
};

// The fibers and memories of one group at a time. Crews are kept for the next launch.
struct crew {
    struct crew *next;
    struct el_fiber fibers[EL_LANES_MAX], self;
    struct lane lanes[EL_LANES_MAX];
    const struct el_c_kernel *kernel;
    void *const *params;
    _Alignas(16) unsigned char local[LOCAL_BYTES];
    _Alignas(16) unsigned char own[EL_LANES_MAX][EL_LANE_OWN];
    size_t local_used; // most that a lane of the last group has declared
    uint64_t random;
};

_Thread_local struct el_lane el_lane;
static _Thread_local struct crew *running;
static _Thread_local struct lane *current;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct crew *idle; // guarded by lock
static struct {
    enum el_lane_order order;
    uint64_t seed;
    bool known;
} chosen; // guarded by lock

static const char *const order_text[] = {"forwards", "backwards", "shuffled"};

void el_lanes_set_order(enum el_lane_order order, uint64_t seed) {
    pthread_mutex_lock(&lock);
    chosen.order = order;
    chosen.seed = seed;
    chosen.known = true;
    pthread_mutex_unlock(&lock);
}

// "shuffled:7"; forwards where EL_LANE_ORDER says nothing known. The lock is held.
static void read_order(void) {
    const char *text = getenv("EL_LANE_ORDER");
    chosen.known = true;
    if (!text) return;
    size_t length = strcspn(text, ":");
    for (int i = EL_LANES_FORWARDS; i <= EL_LANES_SHUFFLED; i++)
        if (strlen(order_text[i]) == length && strncmp(text, order_text[i], length) == 0)
            chosen.order = (enum el_lane_order)i;
    if (text[length] == ':') chosen.seed = strtoull(text + length + 1, NULL, 10);
}

static struct crew *open_crew(void) {
    struct crew *crew =
        mmap(NULL, sizeof *crew, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (crew == MAP_FAILED) {
        fprintf(stderr, "no memory for the lanes of a kernel\n");
        abort();
    }
    crew->local_used = LOCAL_BYTES;
    el_fibers_open(crew->fibers, EL_LANES_MAX);
    return crew;
}

static struct crew *take_crew(enum el_lane_order *ret_order) {
    pthread_mutex_lock(&lock);
    if (!chosen.known) read_order();
    struct crew *crew = idle;
    if (crew) idle = crew->next;
    *ret_order = chosen.order;
    uint64_t seed = chosen.seed;
    pthread_mutex_unlock(&lock);
    if (!crew) crew = open_crew();
    crew->random = seed;
    crew->self = (struct el_fiber){0}; // another thread may have had the crew
    return crew;
}

static void keep_crew(struct crew *crew) {
    pthread_mutex_lock(&lock);
    crew->next = idle;
    idle = crew;
    pthread_mutex_unlock(&lock);
}

_Noreturn static void stop(const struct lane *lane, const char *what) {
    fprintf(stderr, "%s, group (%d, %d, %d), lane %d: %s\n", running->kernel->symbol, el_lane.group[0],
            el_lane.group[1], el_lane.group[2], lane->number, what);
    abort();
}

void *el_lane_local(size_t size) {
    unsigned char *memory = running->local + current->local;
    current->local += (size + 15) / 16 * 16;
    if (current->local > LOCAL_BYTES) stop(current, "declares more memory of the group than there is");
    if (running->local_used < current->local) running->local_used = current->local;
    return memory;
}

void *el_lane_own(void) {
    unsigned char *memory = running->own[current->number];
    if (!current->owns) memset(memory, 0, EL_LANE_OWN);
    current->owns = true;
    return memory;
}

static void wait_at(enum waits waits, const char *file, int line) {
    struct lane *self = current;
    self->waits = waits;
    self->file = file;
    self->line = line;
    el_fiber_pause(self->fiber);
}

void el_lane_sync(const char *file, int line) {
    wait_at(AT_BARRIER, file, line);
}

void el_warp_meet(el_warp_fn *act, void *item, const char *file, int line) {
    current->act = act;
    current->item = item;
    wait_at(AT_WARP, file, line);
}

static void run_lane(void *crew) {
    const struct crew *c = crew;
    c->kernel->call(c->params);
}

static void resume(struct crew *crew, struct lane *lane) {
    current = lane;
    el_lane.lane = lane->number;
    el_fiber_resume(lane->fiber, &crew->self);
    if (lane->fiber->ended) lane->waits = ENDED;
}

// xorshift64* (Vigna 2016)
static uint64_t draw(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

static bool same_place(const struct lane *a, const struct lane *b) {
    return a->waits == b->waits && a->line == b->line && strcmp(a->file, b->file) == 0;
}

// Lets a warp go if all its lanes have come to one meeting; false when they have not.
static bool hold_meeting(struct lane *warp) {
    void *items[EL_WARP];
    for (int i = 0; i < EL_WARP; i++) {
        if (warp[i].waits != AT_WARP || !same_place(&warp[i], warp) || warp[i].act != warp->act) return false;
        items[i] = warp[i].item;
    }
    warp->act(items);
    for (int i = 0; i < EL_WARP; i++)
        warp[i].waits = RUNS;
    return true;
}

// Runs every lane to its next barrier or its end. A warp that meets goes on at once, so that warps are as far
// apart as barriers let them be.
static void take_turns(struct crew *crew, enum el_lane_order order) {
    int lanes = crew->kernel->lanes;
    int turns[EL_LANES_MAX];
    for (int i = 0; i < lanes; i++)
        turns[i] = order == EL_LANES_BACKWARDS ? lanes - 1 - i : i;
    for (int i = lanes - 1; order == EL_LANES_SHUFFLED && i > 0; i--) { // Fisher and Yates
        int j = (int)(draw(&crew->random) % (uint64_t)(i + 1)), turn = turns[i];
        turns[i] = turns[j];
        turns[j] = turn;
    }
    for (int i = 0; i < lanes; i++) {
        struct lane *lane = &crew->lanes[turns[i]], *warp = &crew->lanes[turns[i] / EL_WARP * EL_WARP];
        resume(crew, lane);
        while (lane->waits == AT_WARP && hold_meeting(warp))
            for (int j = 0; j < EL_WARP; j++)
                resume(crew, &warp[order == EL_LANES_BACKWARDS ? EL_WARP - 1 - j : j]);
    }
}

// "ended", or "waits at linear.k:97".
static void print_place(const struct lane *lane, char *text, size_t size) {
    if (lane->waits == ENDED)
        snprintf(text, size, "has ended");
    else
        snprintf(text, size, "waits at %s:%d%s", lane->file, lane->line,
                 lane->waits == AT_WARP ? " for its warp" : "");
}

// No lane may run: all stand at one barrier and go on (true), or all have ended (false), or the kernel is
// wrong.
static bool pass_barrier(struct crew *crew) {
    struct lane *lanes = crew->lanes;
    for (int i = 0; i < crew->kernel->lanes; i++)
        if (lanes[i].waits == AT_WARP || lanes[i].waits != lanes[0].waits ||
            (lanes[i].waits == AT_BARRIER && !same_place(&lanes[i], &lanes[0]))) {
            char one[160], other[160], text[400];
            print_place(&lanes[0], one, sizeof one);
            print_place(&lanes[i], other, sizeof other);
            snprintf(text, sizeof text, "%s, but lane 0 %s", other, one);
            stop(&lanes[i], text);
        }
    if (lanes[0].waits == ENDED) return false;
    for (int i = 0; i < crew->kernel->lanes; i++)
        lanes[i].waits = RUNS;
    return true;
}

static void run_group(struct crew *crew, enum el_lane_order order) {
    memset(crew->local, GARBAGE, crew->local_used);
    crew->local_used = 0;
    for (int i = 0; i < crew->kernel->lanes; i++) {
        crew->lanes[i] = (struct lane){.fiber = &crew->fibers[i], .number = i};
        el_fiber_begin(&crew->fibers[i], run_lane, crew);
    }
    do {
        take_turns(crew, order);
    } while (pass_barrier(crew));
}

void el_lanes_run(const struct el_c_kernel *kernel, const int groups[3], void *const *params) {
    enum el_lane_order order;
    struct crew *crew = take_crew(&order);
    running = crew;
    crew->kernel = kernel;
    crew->params = params;
    crew->random = crew->random * 2 + 1; // never 0
    el_lane.groups = groups[0];
    for (int z = 0; z < groups[2]; z++)
        for (int y = 0; y < groups[1]; y++)
            for (int x = 0; x < groups[0]; x++) {
                el_lane.group[0] = x;
                el_lane.group[1] = y;
                el_lane.group[2] = z;
                run_group(crew, order);
            }
    keep_crew(crew);
}
