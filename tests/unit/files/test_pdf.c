// SPDX-License-Identifier: Apache-2.0
// PDF by pdftotext: its text; and what happens when it is not there, fails, writes without end or never ends.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "eleanor/status.h"
#include "files/pdf.h"

// Puts a program of that name before all others.
static void stand_in(const char *script) {
    static char folder[] = "/tmp/el-pdf-XXXXXX";
    char path[64];
    if (folder[strlen(folder) - 1] == 'X') assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/pdftotext", folder);
    if (script) {
        assert_int_equal(el_write_file(path, script, strlen(script)), 0);
        assert_int_equal(chmod(path, 0755), 0);
    } else {
        unlink(path);
        rmdir(folder);
    }
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", folder);
    setenv("PATH", script ? path : "/nowhere", 1);
}

static int convert(const char *pdf, size_t limit, int seconds, struct el_str *text) {
    return el_pdf_text(pdf, strlen(pdf), limit, seconds, text);
}

static void stand_ins(void **state) {
    struct el_str text el_auto(el_str_done) = {0};
    (void)state;
    stand_in("#!/bin/sh\nexec cat /dev/stdin\n");
    assert_int_equal(convert("%PDF-hello", 100, 100, &text), 0);
    assert_string_equal(text.data, "%PDF-hello");
    stand_in("#!/bin/sh\nexit 1\n");
    assert_int_equal(convert("%PDF-", 100, 100, &text), EL_EFORMAT);
    stand_in("#!/bin/sh\nkill -SEGV $$\n");
    assert_int_equal(convert("%PDF-", 100, 100, &text), EL_EFORMAT);
    stand_in("#!/bin/sh\nexec yes\n");
    assert_int_equal(convert("%PDF-", 100000, 100, &text), EL_ETOOBIG);
    stand_in("#!/bin/sh\nexec sleep 100\n");
    const uint64_t before = el_now_ns();
    assert_int_equal(convert("%PDF-", 100, 1, &text), EL_ECANCELED);
    assert_true(el_now_ns() - before < 50000000000u);
    stand_in(NULL);
    assert_int_equal(convert("%PDF-", 100, 100, &text), EL_ENOENT);
}

// A page whose content is a form that shows the next form twice, and so on: 2^levels times "x".
static void write_pdf(struct el_str *pdf, int levels) {
    assert_int_equal(el_str_puts(pdf, "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
                                      "2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
                                      "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 9 0 R"
                                      "/Resources<</XObject<</F 10 0 R>>>>>>endobj\n"
                                      "8 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n"
                                      "9 0 obj<</Length 5>>stream\n/F Do\nendstream endobj\n"),
                     0);
    for (int i = 0; i < levels; i++)
        assert_int_equal(el_str_printf(pdf,
                                       "%d 0 obj<</Type/XObject/Subtype/Form/BBox[0 0 99 99]/Resources<<"
                                       "/XObject<</F %d 0 R>>>>/Length 11>>stream\n/F Do /F Do\nendstream "
                                       "endobj\n",
                                       10 + i, 11 + i),
                         0);
    assert_int_equal(el_str_printf(pdf,
                                   "%d 0 obj<</Type/XObject/Subtype/Form/BBox[0 0 99 99]/Resources<</Font"
                                   "<</A 8 0 R>>>>/Length 33>>stream\nBT /A 9 Tf 9 9 Td (hello) Tj ET  "
                                   "\nendstream endobj\ntrailer<</Root 1 0 R>>\n",
                                   10 + levels),
                     0);
}

static void the_real_one(void **state) {
    struct el_str pdf el_auto(el_str_done) = {0}, text el_auto(el_str_done) = {0};
    (void)state;
    setenv("PATH", "/usr/bin:/bin", 1);
    if (access("/usr/bin/pdftotext", X_OK) != 0) skip();
    write_pdf(&pdf, 0);
    assert_int_equal(el_pdf_text(pdf.data, pdf.length, 1000, 100, &text), 0);
    assert_non_null(strstr(text.data, "hello"));
    el_str_clear(&pdf);
    write_pdf(&pdf, 60);
    assert_int_equal(el_pdf_text(pdf.data, pdf.length, 1000, 1, &text), EL_ECANCELED);
    assert_int_equal(convert("%PDF-1.4 nothing", 1000, 100, &text), EL_EFORMAT);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(stand_ins), cmocka_unit_test(the_real_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
