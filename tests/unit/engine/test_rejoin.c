// SPDX-License-Identifier: Apache-2.0
// Taking back: growing distances, several good probes in a row, a join that fails, a member that flaps, the
// end in the middle of it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "engine/rejoin.h"

enum { FIRST_MS = 8, SHORT_MS = 64, LONGEST_MS = 500, PROBES = 3, MOST = 64, DEADLINE_S = 60 };
static const uint64_t ms = 1000000;

// A member that says what it is told to, and when it was asked.
struct member {
    struct el_rejoin *rejoin;
    atomic_int sick_probes, bad_joins; // so many to come
    bool flaps;                        // out again as soon as it is in, once
    atomic_int probes, joins;
    uint64_t asked_ns[MOST];
};

static int probe(void *context, int i) {
    struct member *member = (struct member *)context + i;
    if (member->probes < MOST) member->asked_ns[member->probes] = el_now_ns();
    member->probes++;
    if (member->sick_probes == 0) return 0;
    member->sick_probes--;
    return el_fail(EL_ELOST, "member %d is sick", i);
}

static int join(void *context, int i) {
    struct member *member = (struct member *)context + i;
    if (member->bad_joins > 0) {
        member->bad_joins--;
        return el_fail(EL_ENOMEM, "member %d finds no room", i);
    }
    member->joins++;
    if (member->flaps) {
        member->flaps = false;
        el_rejoin_out(member->rejoin, i);
    }
    return 0;
}

static void start(struct member *members, int count, int longest_ms) {
    const struct el_rejoin_options options = {
        .members = count,
        .first_ns = FIRST_MS * ms,
        .longest_ns = (uint64_t)longest_ms * ms,
        .probes = PROBES,
        .probe = probe,
        .join = join,
        .context = members,
    };
    struct el_rejoin *rejoin = NULL;
    assert_int_equal(el_rejoin_open(&options, &rejoin), 0);
    assert_int_equal(el_rejoin_start(rejoin), 0);
    for (int i = 0; i < count; i++)
        members[i].rejoin = rejoin;
}

static struct el_rejoin_state state_of(const struct member *member, int i) {
    struct el_rejoin_state state;
    el_rejoin_state(member->rejoin, i, &state);
    return state;
}

static void wait_until_in(const struct member *member, int i, uint64_t rejoins) {
    const uint64_t until = el_now_ns() + DEADLINE_S * UINT64_C(1000000000);
    struct el_rejoin_state state;
    do {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        state = state_of(member, i);
        assert_true(el_now_ns() < until);
    } while (state.out || state.rejoins < rejoins);
}

static uint64_t after(const struct member *member, int probe) {
    return member->asked_ns[probe] - member->asked_ns[probe - 1];
}

static void nobody_is_asked_who_is_in(void **state) {
    (void)state;
    struct member members[2] = {0};
    start(members, 2, LONGEST_MS);
    el_rejoin_out(members[0].rejoin, 1);
    wait_until_in(members, 1, 1);
    assert_int_equal(members[0].probes, 0);
    assert_int_equal(members[1].probes, PROBES);
    assert_int_equal(members[1].joins, 1);
    el_rejoin_close(members[0].rejoin);
}

static void distances_double_up_to_the_longest(void **state) {
    (void)state;
    struct member member = {.sick_probes = 5};
    start(&member, 1, SHORT_MS);
    const uint64_t out = el_now_ns();
    assert_int_equal(el_rejoin_out(member.rejoin, 0), FIRST_MS * ms);
    wait_until_in(&member, 0, 1);
    assert_true(member.asked_ns[0] - out >= FIRST_MS * ms);
    for (int i = 1; i <= 5; i++)
        assert_true(after(&member, i) >= EL_MIN(FIRST_MS << i, SHORT_MS) * ms);
    assert_int_equal(member.probes, 5 + PROBES); // in a row, from the first good one on
    el_rejoin_close(member.rejoin);
}

static void one_bad_probe_begins_the_row_anew(void **state) {
    (void)state;
    struct member member = {0};
    start(&member, 1, LONGEST_MS);
    el_rejoin_out(member.rejoin, 0);
    while (member.probes < PROBES - 1)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    member.sick_probes = 1;
    wait_until_in(&member, 0, 1);
    assert_in_range(member.probes, 2 * PROBES - 1, 2 * PROBES); // the machine may have been slow to say so
    el_rejoin_close(member.rejoin);
}

static void a_join_that_fails_is_a_setback(void **state) {
    (void)state;
    struct member member = {.bad_joins = 1};
    start(&member, 1, LONGEST_MS);
    el_rejoin_out(member.rejoin, 0);
    while (member.probes <= PROBES)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    assert_true(after(&member, PROBES) >= 2 * FIRST_MS * ms);
    assert_string_equal(state_of(&member, 0).problem, "member 0 finds no room");
    wait_until_in(&member, 0, 1);
    assert_int_equal(member.probes, 2 * PROBES);
    el_rejoin_close(member.rejoin);
}

// It is out again before `join` has returned, and must not be forgotten.
static void who_flaps_waits_longer(void **state) {
    (void)state;
    struct member member = {.flaps = true};
    start(&member, 1, LONGEST_MS);
    el_rejoin_out(member.rejoin, 0);
    wait_until_in(&member, 0, 2);
    assert_int_equal(member.joins, 2);
    assert_true(after(&member, PROBES) >= 2 * FIRST_MS * ms);
    assert_int_equal(el_rejoin_out(member.rejoin, 0), 4 * FIRST_MS * ms); // at once once more
    wait_until_in(&member, 0, 3);
    nanosleep(&(struct timespec){.tv_nsec = (LONGEST_MS + 5) * 1000000}, NULL);
    assert_int_equal(el_rejoin_out(member.rejoin, 0), FIRST_MS * ms); // it has stayed: all is forgiven
    el_rejoin_close(member.rejoin);
}

static void the_end_waits_for_nobody(void **state) {
    (void)state;
    struct member member = {.sick_probes = MOST};
    const struct el_rejoin_options options = {.members = 1,
                                              .first_ns = 3600000 * ms,
                                              .longest_ns = 3600000 * ms,
                                              .probes = 1,
                                              .probe = probe,
                                              .join = join,
                                              .context = &member};
    assert_int_equal(el_rejoin_open(&options, &member.rejoin), 0);
    el_rejoin_out(member.rejoin, 0); // before it starts
    assert_int_equal(el_rejoin_start(member.rejoin), 0);
    const uint64_t began = el_now_ns();
    el_rejoin_stop(member.rejoin);
    assert_true(el_now_ns() - began < 10000 * ms);
    el_rejoin_out(member.rejoin, 0); // and after it has ended
    assert_true(state_of(&member, 0).out);
    assert_int_equal(member.probes, 0);
    el_rejoin_close(member.rejoin);
    el_rejoin_close(NULL);
}

static void too_many_members_are_refused(void **state) {
    (void)state;
    const struct el_rejoin_options options = {.members = EL_REJOIN_MEMBERS + 1};
    struct el_rejoin *rejoin = NULL;
    assert_int_equal(el_rejoin_open(&options, &rejoin), EL_EINVAL);
    assert_null(rejoin);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_asked_who_is_in),
        cmocka_unit_test(distances_double_up_to_the_longest),
        cmocka_unit_test(one_bad_probe_begins_the_row_anew),
        cmocka_unit_test(a_join_that_fails_is_a_setback),
        cmocka_unit_test(who_flaps_waits_longer),
        cmocka_unit_test(the_end_waits_for_nobody),
        cmocka_unit_test(too_many_members_are_refused),
    };
    return cmocka_run_group_tests_name("rejoin", tests, NULL, NULL);
}
