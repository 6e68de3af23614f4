// SPDX-License-Identifier: Apache-2.0
// Torture of reading files: the N-th allocation fails, for every N. Each file ends in EL_ENOMEM or in the
// text that it always has, and nothing leaks. Those of libraries fail too, iconv's and libxml2's; not those
// of libarchive and uchardet, which end the process by themselves: they are called when there is memory,
// which a process with little of it shows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "failing_malloc.h"
#include "files/read.h"
#include "torture.h"

enum { LIMIT = 1 << 20 };

static char folder[] = "/tmp/el-torture-XXXXXX";

static const char *path_of(const char *name) {
    static char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

// Bytes of address space.
static size_t size_in_use(void) {
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%zu", &pages) != 1) _exit(4);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int read_file(const char *path, struct el_file_text *ret_text) {
    *ret_text = (struct el_file_text){0};
    return el_file_read(path, LIMIT, ret_text);
}

enum blame { ALL, ALL_LEAKING, OURS }; // whose allocations fail

// The same text each time that there is one.
static void torture_file(const char *name, const void *bytes, size_t size, enum blame blame,
                         const char *text) {
    const char *path = path_of(name);
    assert_int_equal(el_write_file(path, bytes, size), 0);
    failing_malloc_spare_libraries(blame == OURS);
    for (int and_after = 0; and_after < 2; and_after++) {
        struct el_file_text file;
        assert_int_equal(read_file(path, &file), 0); // what libraries allocate once and keep
        el_file_text_done(&file);
        struct torture torture = torture_begin(and_after);
        while (torture_next(&torture)) {
            torture_arm(&torture);
            const int status = torture_disarm(&torture, read_file(path, &file));
            if (status == 0) {
                if (file.outcome != EL_FILE_READ) fail_msg("%s: %s", name, file.why);
                assert_string_equal(file.text.data, text);
                el_file_text_done(&file);
            } else if (blame == ALL_LEAKING) {
                torture.live = failing_malloc_live();
            }
        }
        assert_true(torture.refusals > 2);
    }
    failing_malloc_spare_libraries(false);
    unlink(path);
}

#define UMLAUTS "\xC3\xA4\xC3\xB6\xC3\xBC"
#define REPLACED "\xEF\xBF\xBD"

static const char cyrillic[] =
    "\xF0\xD2\xC9\xD7\xC5\xD4, \xCD\xC9\xD2! \xEB\xC1\xCB \xC4\xC5\xCC\xC1?"; // KOI8-R

static void texts_in_encodings(void **state) {
    (void)state;
    static const char wide[] = "\xFF\xFE\x61\0b\0\n", damaged[] = UMLAUTS UMLAUTS UMLAUTS "\xFF";
    torture_file("plain.txt", "a\n", 2, ALL, "a\n");
    torture_file("wide.txt", wide, sizeof wide, ALL, "ab\n");
    torture_file("damaged.txt", damaged, sizeof damaged - 1, ALL, UMLAUTS UMLAUTS UMLAUTS REPLACED);
    struct el_file_text file;
    const char *path = path_of("detected.txt");
    assert_int_equal(el_write_file(path, cyrillic, sizeof cyrillic - 1), 0);
    assert_int_equal(read_file(path, &file), 0);
    assert_true(file.is_converted);
    torture_file("detected.txt", cyrillic, sizeof cyrillic - 1, OURS, file.text.data);
    el_file_text_done(&file);
}

static void html(void **state) {
    (void)state;
    static const char page[] =
        "<!doctype html><title>A page</title><h1>Head</h1><p>caf&eacute; <b>b</b><pre>x\n y</pre>"
        "<ul><li>one<li>two</ul><script>no</script><!-- no --><p class=\"a\" id='b'>end";
    static const char text[] = "# Head\n\ncaf\xC3\xA9 b\n\n```\nx\n y\n```\n\n- one\n- two\n\nend";
    torture_file("page.html", page, sizeof page - 1, ALL_LEAKING, text); // libxml2 2.9 leaks then
    torture_file("page.html", page, sizeof page - 1, OURS, text);
}

static const char unpacked[] = "packed and unpacked\n";
static const uint8_t gz[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x2b, 0x48,
                             0x4c, 0xce, 0x4e, 0x4d, 0x51, 0x48, 0xcc, 0x4b, 0x51, 0x28, 0xcd, 0x2b,
                             0x00, 0x73, 0xb8, 0x00, 0xb7, 0xd5, 0x4b, 0x81, 0x14, 0x00, 0x00, 0x00};
static const uint8_t xz[] = {0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x01, 0x69, 0x22, 0xde, 0x36,
                             0x02, 0x00, 0x21, 0x01, 0x0c, 0x00, 0x00, 0x00, 0x8f, 0x98, 0x41, 0x9c,
                             0x01, 0x00, 0x13, 0x70, 0x61, 0x63, 0x6b, 0x65, 0x64, 0x20, 0x61, 0x6e,
                             0x64, 0x20, 0x75, 0x6e, 0x70, 0x61, 0x63, 0x6b, 0x65, 0x64, 0x0a, 0x00,
                             0xb7, 0xd5, 0x4b, 0x81, 0x00, 0x01, 0x28, 0x14, 0xfc, 0xcf, 0x01, 0x67,
                             0x90, 0x42, 0x99, 0x0d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x01, 0x59, 0x5a};
static const uint8_t bz2[] = {0x42, 0x5a, 0x68, 0x31, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, 0xc2,
                              0xb2, 0x51, 0xa9, 0x00, 0x00, 0x09, 0x51, 0x80, 0x00, 0x10, 0x40,
                              0x00, 0x2e, 0x09, 0x42, 0x00, 0x20, 0x00, 0x31, 0x00, 0x30, 0x12,
                              0x93, 0x4f, 0x43, 0x42, 0x86, 0x7d, 0x16, 0x36, 0x31, 0x6a, 0xdc,
                              0xe1, 0x77, 0x24, 0x53, 0x85, 0x09, 0x0c, 0x2b, 0x25, 0x1a, 0x90};
static const uint8_t zst[] = {0x28, 0xb5, 0x2f, 0xfd, 0x24, 0x14, 0xa1, 0x00, 0x00, 0x70, 0x61,
                              0x63, 0x6b, 0x65, 0x64, 0x20, 0x61, 0x6e, 0x64, 0x20, 0x75, 0x6e,
                              0x70, 0x61, 0x63, 0x6b, 0x65, 0x64, 0x0a, 0x1f, 0xb0, 0x7c, 0x74};

static void packed(void **state) {
    (void)state;
    torture_file("a.gz", gz, sizeof gz, OURS, unpacked);
    torture_file("a.xz", xz, sizeof xz, OURS, unpacked);
    torture_file("a.bz2", bz2, sizeof bz2, OURS, unpacked);
    torture_file("a.zst", zst, sizeof zst, OURS, unpacked);
}

// ---- libraries that end the process ----

// Leaves this process so many bytes of memory in all.
static void eat_memory(size_t but) {
    enum { BITE = 1024, MOST = 1 << 16 };
    static void *bites[MOST];
    const struct rlimit limit = {size_in_use(), RLIM_INFINITY};
    size_t count = 0;
    if (setrlimit(RLIMIT_AS, &limit) < 0) _exit(3);
    while (count < MOST && (bites[count] = malloc(BITE)))
        count++;
    for (size_t freed = 0; count && freed < but; freed += BITE)
        free(bites[--count]);
}

// Reads the file in processes that have ever more memory: none dies.
static void starve(const char *name, const void *bytes, size_t size) {
    enum { STEP = 16 << 10, MOST = 1 << 20 };
    const char *path = path_of(name);
    int refused = 0, done = 0;
    assert_int_equal(el_write_file(path, bytes, size), 0);
    for (size_t memory = 0; memory < MOST; memory += STEP) {
        const pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct el_file_text file;
            eat_memory(memory);
            const int status = read_file(path, &file);
            _exit(status == EL_ENOMEM ? 1 : status < 0 || file.outcome != EL_FILE_READ ? 2 : 0);
        }
        int how;
        assert_int_equal(waitpid(pid, &how, 0), pid);
        if (!WIFEXITED(how) || WEXITSTATUS(how) > 1)
            fail_msg("%s: %d with %zu bytes more", name, how, memory);
        refused += WEXITSTATUS(how) == 1;
        done += WEXITSTATUS(how) == 0;
    }
    print_message("%s: %d refused, %d read\n", name, refused, done);
    assert_true(refused > 0 && done > 0);
    unlink(path);
}

static void little_memory(void **state) {
    (void)state;
    const iconv_t kept = iconv_open("UTF-8", "KOI8-R"); // or it could not be loaded
    starve("detected.txt", cyrillic, sizeof cyrillic - 1);
    iconv_close(kept);
    starve("a.gz", gz, sizeof gz);
    starve("a.xz", xz, sizeof xz);
    starve("a.bz2", bz2, sizeof bz2);
    starve("a.zst", zst, sizeof zst);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_in_encodings),
        cmocka_unit_test(html),
        cmocka_unit_test(packed),
        cmocka_unit_test(little_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
