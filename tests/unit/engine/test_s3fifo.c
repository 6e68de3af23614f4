// SPDX-License-Identifier: Apache-2.0
// S3-FIFO against a model of it that is too plain to be wrong: arrays that are searched from end to end. On
// random traces both must keep the same keys at every step.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "engine/s3fifo.h"

enum { MOST = 64, STEPS = 20000, KEYS_PER_PLACE = 4 };

// ---- the model ----

struct entry {
    uint64_t key;
    int uses;
};
struct list {
    struct entry entry[MOST + 1]; // oldest first
    int count;
};
struct model {
    int capacity;
    struct list small, main, ghost;
};

static int find_in(const struct list *list, uint64_t key) {
    for (int i = 0; i < list->count; i++)
        if (list->entry[i].key == key) return i;
    return -1;
}

static struct entry remove_at(struct list *list, int index) {
    const struct entry entry = list->entry[index];
    list->count--;
    memmove(&list->entry[index], &list->entry[index + 1], (size_t)(list->count - index) * sizeof entry);
    return entry;
}

static void append(struct list *list, uint64_t key, int uses) {
    list->entry[list->count++] = (struct entry){.key = key, .uses = uses};
}

static struct entry *model_find(struct model *model, uint64_t key) {
    const int in_small = find_in(&model->small, key), in_main = find_in(&model->main, key);
    return in_small >= 0 ? &model->small.entry[in_small] : in_main >= 0 ? &model->main.entry[in_main] : NULL;
}

static void model_evict(struct model *model) {
    const int small_places = model->capacity / 10 > 1 ? model->capacity / 10 : 1;
    const int ghosts = model->capacity - small_places;
    for (;;) {
        const bool from_small = model->small.count >= small_places;
        const struct entry oldest = remove_at(from_small ? &model->small : &model->main, 0);
        if (from_small && oldest.uses >= 2) {
            append(&model->main, oldest.key, 0);
        } else if (from_small) {
            append(&model->ghost, oldest.key, 0);
            if (model->ghost.count > ghosts) remove_at(&model->ghost, 0);
            return;
        } else if (oldest.uses > 0) {
            append(&model->main, oldest.key, oldest.uses - 1);
        } else {
            return;
        }
    }
}

static void model_insert(struct model *model, uint64_t key) {
    const int ghost = find_in(&model->ghost, key);
    if (ghost >= 0) remove_at(&model->ghost, ghost);
    if (model->small.count + model->main.count == model->capacity) model_evict(model);
    append(ghost >= 0 ? &model->main : &model->small, key, 0);
}

// ---- both on one trace ----

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

// Few keys come often, many rarely; all fall into few buckets, so that chains are long.
static struct el_hash128 draw_key(uint64_t *seed, int capacity) {
    const uint64_t range = 1 + next_random(seed) % (uint64_t)(capacity * KEYS_PER_PLACE);
    const uint64_t number = 1 + next_random(seed) % range;
    return (struct el_hash128){{number % 3, number}};
}

static void decisions_are_the_models(void **state) {
    (void)state;
    static const int capacities[] = {1, 2, 3, 9, 10, 11, 20, MOST};
    for (size_t c = 0; c < EL_COUNT(capacities); c++) {
        const int capacity = capacities[c];
        struct model model = {.capacity = capacity};
        struct el_s3fifo *cache = NULL;
        uint64_t seed = 88172645463325252u + c, owner[MOST] = {0};
        int hits = 0;
        assert_int_equal(el_s3fifo_open((uint32_t)capacity, &cache), 0);
        for (int i = 0; i < STEPS; i++) {
            const struct el_hash128 key = draw_key(&seed, capacity);
            struct entry *entry = model_find(&model, key.word[1]);
            const uint32_t found = el_s3fifo_find(cache, &key), before = el_s3fifo_count(cache);
            assert_int_equal(found != EL_S3FIFO_NONE, entry != NULL);
            if (entry) {
                entry->uses = EL_MIN(entry->uses + 1, 3);
                assert_int_equal(owner[found], key.word[1]); // a key stays in its slot
                hits++;
                continue;
            }
            model_insert(&model, key.word[1]);
            const uint32_t slot = el_s3fifo_insert(cache, &key);
            assert_true(slot < (uint32_t)capacity);
            assert_true(before == (uint32_t)capacity || slot == before);
            owner[slot] = key.word[1];
            assert_int_equal(el_s3fifo_count(cache), model.small.count + model.main.count);
        }
        assert_true(hits > STEPS / 20 && hits < STEPS);
        el_s3fifo_close(cache);
    }
}

// What the paper is about: a scan does not push out what is asked for again and again.
static void a_scan_leaves_what_is_used(void **state) {
    (void)state;
    enum { CAPACITY = 100, USED = 50, SCAN = 10000 };
    struct el_s3fifo *cache = NULL;
    assert_int_equal(el_s3fifo_open(CAPACITY, &cache), 0);
    for (int round = 0; round < 4; round++) {
        for (uint64_t i = 0; i < USED; i++) {
            const struct el_hash128 key = {{i, 1}};
            if (el_s3fifo_find(cache, &key) == EL_S3FIFO_NONE) el_s3fifo_insert(cache, &key);
        }
    }
    for (uint64_t i = 0; i < SCAN; i++) {
        const struct el_hash128 key = {{i, 2}};
        assert_int_equal(el_s3fifo_find(cache, &key), EL_S3FIFO_NONE);
        el_s3fifo_insert(cache, &key);
    }
    for (uint64_t i = 0; i < USED; i++) {
        const struct el_hash128 key = {{i, 1}};
        assert_int_not_equal(el_s3fifo_find(cache, &key), EL_S3FIFO_NONE);
    }
    el_s3fifo_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions_are_the_models),
        cmocka_unit_test(a_scan_leaves_what_is_used),
    };
    return cmocka_run_group_tests_name("s3fifo", tests, NULL, NULL);
}
