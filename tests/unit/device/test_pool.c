// SPDX-License-Identifier: Apache-2.0
// The pool: blocks never overlap, free ones join again, limits hold and say their numbers, and no failure of
// the driver changes what was there.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "common/late_backend.h"
#include "device/pool.h"

#define MB ((size_t)1 << 20)

static struct el_device device;

static struct el_pool_stats stats_now(void) {
    struct el_pool_stats stats;
    el_pool_stats(device.pool, &stats);
    return stats;
}

static struct el_buffer open_buffer(size_t size) {
    struct el_buffer buffer = {0};
    assert_int_equal(el_buffer_open(&device, size, &buffer), 0);
    assert_int_equal((uintptr_t)buffer.address % EL_CACHE_LINE, 0);
    memset(buffer.address, 0x5C, size);
    return buffer;
}

static void close_device(void) {
    late_close(&device);
    assert_int_equal(late_counts().allocs, 0);
    assert_int_equal(late_counts().bytes, 0);
}

static void small_blocks_share_a_slab(void **state) {
    (void)state;
    struct el_buffer buffers[100];
    assert_int_equal(late_open(64 * MB, 0, &device), 0);
    for (int i = 0; i < 100; i++)
        buffers[i] = open_buffer(1000); // 1024 rounded
    assert_int_equal(late_counts().driver_allocs, 1);
    assert_int_equal(stats_now().allocated, 100 * 1024);
    assert_int_equal(stats_now().reserved, 2 * MB);
    assert_int_equal(stats_now().live, 100);
    assert_int_equal(stats_now().hits, 99);
    for (int i = 0; i < 100; i += 2)
        el_buffer_close(&buffers[i]);
    assert_true(stats_now().fragmentation > 0);
    for (int i = 1; i < 100; i += 2)
        el_buffer_close(&buffers[i]);
    assert_int_equal(stats_now().largest_free, 2 * MB); // all have joined again
    assert_true(stats_now().fragmentation == 0);
    assert_int_equal(stats_now().peak_allocated, 100 * 1024);
    assert_int_equal(el_pool_trim(device.pool), 2 * MB);
    assert_int_equal(late_counts().allocs, 0);
    close_device();
}

static void freed_blocks_are_found_again(void **state) {
    (void)state;
    assert_int_equal(late_open(256 * MB, 0, &device), 0);
    struct el_buffer large = open_buffer(30 * MB), larger = open_buffer(50 * MB);
    void *address = large.address;
    el_buffer_close(&large);
    el_buffer_close(&larger);
    large = open_buffer(29 * MB); // the better fit of the two; its rest stays free
    assert_ptr_equal(large.address, address);
    struct el_buffer rest = open_buffer(MB + 1);
    assert_int_equal(late_counts().driver_allocs, 2);
    el_buffer_close(&large);
    el_buffer_close(&rest);
    assert_int_equal(stats_now().largest_free, 50 * MB);
    assert_int_equal(el_pool_trim(device.pool), 80 * MB);
    close_device();
}

static void budget_holds_with_numbers(void **state) {
    (void)state;
    assert_int_equal(late_open(256 * MB, 10 * MB, &device), 0);
    struct el_buffer first = open_buffer(6 * MB), second = {0};
    assert_int_equal(el_buffer_open(&device, 5 * MB, &second), EL_ENOMEM);
    assert_non_null(
        strstr(el_error_detail(), "late:0 has no room for 5.0 MB: 6.0 MB of its budget of 10.0 MB"));
    assert_null(second.block);
    assert_int_equal(el_buffer_open(&device, SIZE_MAX, &second), EL_ENOMEM);
    second = open_buffer(4 * MB);
    el_buffer_close(&first);
    first = open_buffer(3 * MB);            // a part of the cached 6 MB
    struct el_buffer tiny = open_buffer(1); // no slab fits the budget any more: what is left of a large one
    assert_int_equal(late_counts().bytes, 10 * MB);
    el_buffer_close(&tiny);
    el_buffer_close(&first);
    el_buffer_close(&second);
    first = open_buffer(10 * MB); // the cache makes way
    el_buffer_close(&first);
    close_device();
}

static void a_budget_below_a_slab_serves(void **state) {
    (void)state;
    assert_int_equal(late_open(256 * MB, 4096, &device), 0);
    struct el_buffer a = open_buffer(2000), b = open_buffer(512), c = {0};
    assert_int_equal(el_buffer_open(&device, 4096, &c), EL_ENOMEM);
    el_buffer_close(&a);
    el_buffer_close(&b);
    close_device();
}

static void a_full_driver_is_tried_again(void **state) {
    (void)state;
    assert_int_equal(late_open(7 * MB, 100 * MB, &device), 0);
    struct el_buffer kept = open_buffer(3 * MB), cached = open_buffer(3 * MB), none = {0};
    assert_int_equal(late_counts().bytes, 7 * MB); // 4 MB, and 3 MB when 4 were not to be had
    el_buffer_close(&cached);
    assert_int_equal(el_buffer_open(&device, 5 * MB, &none), EL_ENOMEM);
    assert_non_null(strstr(el_error_detail(), "late:0 gives no 5.0 MB"));
    assert_int_equal(stats_now().allocated, 3 * MB);
    cached = open_buffer(2 * MB);
    el_buffer_close(&cached);
    el_buffer_close(&kept);
    cached = open_buffer(7 * MB);
    el_buffer_close(&cached);
    close_device();
}

static void accounts_are_capped(void **state) {
    (void)state;
    struct el_pool_account embed = {.name = "embed", .cap = 3 * MB}, chat = {.name = "chat"};
    struct el_buffer a = {0}, b = {0}, c = {0};
    assert_int_equal(late_open(256 * MB, 0, &device), 0);
    assert_int_equal(el_buffer_open_for(&device, &embed, 2 * MB, &a), 0);
    assert_int_equal(el_buffer_open_for(&device, &embed, MB + 1, &b), EL_ENOMEM);
    assert_non_null(strstr(el_error_detail(), "embed may not take 1.0 MB more: 2.0 MB of its 3.0 MB"));
    assert_int_equal(el_buffer_open_for(&device, &chat, 9 * MB, &c), 0);
    assert_int_equal(el_buffer_open_for(&device, &embed, MB, &b), 0);
    assert_int_equal(embed.used, 3 * MB);
    el_buffer_close(&a);
    el_buffer_close(&b);
    el_buffer_close(&c);
    assert_int_equal(embed.used, 0);
    assert_int_equal(embed.peak, 3 * MB);
    late_fail(1, EL_ENOMEM, true);
    assert_int_equal(el_buffer_open_for(&device, &embed, 3 * MB, &a), 0); // cached
    assert_int_equal(el_buffer_open_for(&device, &chat, 90 * MB, &b), EL_ENOMEM);
    assert_int_equal(chat.used, 0);
    el_buffer_close(&a);
    close_device();
}

static void ten_thousand_samples_clear_the_cache(void **state) {
    (void)state;
    assert_int_equal(late_open(256 * MB, 0, &device), 0);
    struct el_buffer buffer = open_buffer(MB);
    el_buffer_close(&buffer);
    el_pool_count_samples(device.pool, 9999);
    assert_int_equal(stats_now().reserved, 2 * MB);
    el_pool_count_samples(device.pool, 1);
    assert_int_equal(stats_now().reserved, 0);
    buffer = open_buffer(MB);
    el_buffer_close(&buffer);
    el_pool_count_samples(device.pool, 9999);
    assert_int_equal(stats_now().reserved, 2 * MB);
    el_pool_count_samples(device.pool, 25000);
    assert_int_equal(stats_now().reserved, 0);
    close_device();
}

static void a_deferred_block_waits_for_the_stream(void **state) {
    (void)state;
    char from[512] = "late", to[512] = "";
    struct el_stream stream = {0};
    assert_int_equal(late_open(256 * MB, 0, &device), 0);
    assert_int_equal(el_stream_open(&device, &stream), 0);
    struct el_buffer used = open_buffer(512);
    void *address = used.address;
    assert_int_equal(el_stream_upload(&stream, used.address, from, sizeof from), 0);
    assert_int_equal(el_stream_download(&stream, to, used.address, sizeof to), 0);
    el_buffer_close_after(&used, &stream);
    struct el_buffer other = open_buffer(512);
    assert_ptr_not_equal(other.address, address);
    assert_int_equal(stats_now().live, 2);
    assert_int_equal(el_stream_sync(&stream), 0);
    assert_int_equal(stats_now().live, 1);
    assert_string_equal(to, "late");
    el_buffer_close_after(&other, &stream);
    el_stream_close(&stream);
    assert_int_equal(stats_now().live, 0);
    close_device();
}

static void memory_stats_are_the_documents(void **state) {
    (void)state;
    struct el_memory_stats shown;
    assert_int_equal(late_open(24576 * MB, 0, &device), 0);
    device.index = 3;
    struct el_buffer peak = open_buffer(4 * MB), kept = open_buffer(2 * MB);
    el_buffer_close(&peak);
    el_device_memory_stats(&device, &shown);
    assert_true(shown.available);
    assert_int_equal(shown.device_id, 3);
    assert_true(shown.allocated_mb == 2 && shown.reserved_mb == 6 && shown.max_allocated_mb == 6);
    assert_true(shown.total_mb == 24576);
    assert_float_equal(shown.utilization_pct, 100.0 * 2 / 24576, 1e-9);
    late_fail(1, EL_EIO, false);
    el_device_memory_stats(&device, &shown);
    assert_false(shown.available);
    assert_true(shown.total_mb == 0);
    device.lost = true;
    el_device_memory_stats(&device, &shown);
    assert_false(shown.available);
    el_buffer_close(&kept); // freeing works on a lost device
    close_device();
}

// Blocks of random sizes come and go; each is filled with its own byte, which must still be there at its end.
enum { SLOTS = 40 };
struct slot {
    struct el_buffer buffer;
    unsigned char byte;
};

static void check_and_close(struct slot *slot) {
    const unsigned char *bytes = slot->buffer.address;
    for (size_t i = 0; i < slot->buffer.size; i += 509)
        if (bytes[i] != slot->byte) fail_msg("byte %zu of %zu was overwritten", i, slot->buffer.size);
    el_buffer_close(&slot->buffer);
}

static void churn(unsigned seed, int rounds) {
    struct slot slots[SLOTS] = {0};
    for (int round = 0; round < rounds; round++) {
        struct slot *slot = &slots[rand_r(&seed) % SLOTS];
        if (slot->buffer.block) check_and_close(slot);
        size_t size = (size_t)rand_r(&seed) % ((size_t)1 << (rand_r(&seed) % 22));
        slot->byte = (unsigned char)rand_r(&seed);
        int status = el_buffer_open(&device, size, &slot->buffer);
        if (status == 0)
            memset(slot->buffer.address, slot->byte, size);
        else if (status != EL_ENOMEM)
            fail_msg("status %d: %s", status, el_error_detail());
    }
    for (int i = 0; i < SLOTS; i++)
        check_and_close(&slots[i]);
}

static void check_empty(void) {
    struct el_pool_stats stats = stats_now();
    assert_int_equal(stats.live, 0);
    assert_int_equal(stats.allocated, 0);
    assert_int_equal(stats.reserved, late_counts().bytes);
    assert_int_equal(el_pool_trim(device.pool), stats.reserved);
    assert_int_equal(late_counts().bytes, 0);
}

static void random_blocks_never_overlap(void **state) {
    (void)state;
    assert_int_equal(late_open(256 * MB, 0, &device), 0);
    churn(1, 4000);
    check_empty();
    close_device();
    assert_int_equal(late_open(6 * MB, 0, &device), 0); // so little that many fail
    churn(2, 4000);
    check_empty();
    close_device();
}

static void any_driver_call_may_fail(void **state) {
    (void)state;
    assert_int_equal(late_open(256 * MB, 0, &device), 0);
    bool tripped = true;
    for (long nth = 1; tripped; nth++) {
        late_fail(nth, EL_ENOMEM, true);
        churn((unsigned)nth, 300);
        tripped = late_tripped();
        late_fail(0, 0, false);
        check_empty();
        assert_true(nth < 200);
    }
    close_device();
}

static void *churn_thread(void *seed) {
    churn(*(unsigned *)seed, 2000);
    return NULL;
}

static void threads_share_the_pool(void **state) {
    (void)state;
    pthread_t threads[4];
    unsigned seeds[4] = {3, 4, 5, 6};
    assert_int_equal(late_open(64 * MB, 0, &device), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn_thread, &seeds[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    check_empty();
    close_device();
}

static void the_host_has_a_pool(void **state) {
    (void)state;
    struct el_device *host = NULL;
    struct el_buffer buffer = {0}, none = {0};
    struct el_device_options options = {.parts = 4, .budget = 3 * MB};
    assert_int_equal(el_device_open("host", 3, &options, &host), 0);
    assert_int_equal(el_buffer_open(host, 2 * MB, &buffer), 0);
    memset(buffer.address, 1, buffer.size);
    assert_int_equal(el_buffer_open(host, 2 * MB, &none), EL_ENOMEM);
    el_buffer_close(&buffer);
    el_buffer_close(&none);
    el_device_close(host);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_blocks_share_a_slab),
        cmocka_unit_test(freed_blocks_are_found_again),
        cmocka_unit_test(budget_holds_with_numbers),
        cmocka_unit_test(a_budget_below_a_slab_serves),
        cmocka_unit_test(a_full_driver_is_tried_again),
        cmocka_unit_test(accounts_are_capped),
        cmocka_unit_test(ten_thousand_samples_clear_the_cache),
        cmocka_unit_test(a_deferred_block_waits_for_the_stream),
        cmocka_unit_test(memory_stats_are_the_documents),
        cmocka_unit_test(random_blocks_never_overlap),
        cmocka_unit_test(any_driver_call_may_fail),
        cmocka_unit_test(threads_share_the_pool),
        cmocka_unit_test(the_host_has_a_pool),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
