// SPDX-License-Identifier: Apache-2.0
// The store itself: its place, stages, records, and that a commit is whole or not at all.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/tree.h"
#include "store/install.h"
#include "store/sink.h"
#include "store/stage.h"
#include "store/store.h"

static int make_home(void **state) {
    static char home[64];
    snprintf(home, sizeof home, "/tmp/eleanor-store-XXXXXX");
    if (!mkdtemp(home)) return -1;
    setenv("ELEANOR_HOME", home, 1);
    *state = home;
    return 0;
}

static int remove_home(void **state) {
    return el_tree_remove(*state);
}

// A safetensors file without tensors: the length of its table, the table.
static const char no_tensors[10] = "\2\0\0\0\0\0\0\0{}";

static void put(struct el_stage *stage, const char *relative, const char *text) {
    size_t length = text == no_tensors ? sizeof no_tensors : strlen(text);
    el_auto_free char *path = NULL;
    char sha256[EL_SHA256_TEXT];
    struct el_sink sink;
    assert_int_equal(el_stage_file(stage, relative, &path), 0);
    assert_int_equal(el_sink_open(path, &sink), 0);
    assert_int_equal(el_sink_write(&sink, text, length), 0);
    assert_int_equal(el_sink_finish(&sink, sha256), 0);
    assert_int_equal(el_record_add(&stage->record, relative, sink.size, sha256), 0);
}

static void name(struct el_stage *stage, const char *text) {
    assert_int_equal(el_strdup(text, &stage->record.name), 0);
    assert_int_equal(el_strdup("test:", &stage->record.source), 0);
    assert_int_equal(el_strdup("MIT", &stage->record.license), 0);
}

static void install(const char *text, bool replace) {
    struct el_stage stage;
    assert_int_equal(el_stage_open(&stage), 0);
    put(&stage, "config.json", text);
    put(&stage, "model.safetensors", no_tensors);
    put(&stage, "vocab.txt", "[PAD]");
    assert_int_equal(el_stage_check(&stage, NULL), 0);
    name(&stage, "owner/x");
    assert_int_equal(el_stage_commit(&stage, replace), 0);
}

static void root_follows_the_variables(void **state) {
    char *root = NULL;
    setenv("XDG_DATA_HOME", "/xdg", 1);
    setenv("HOME", "/home/u", 1);
    assert_int_equal(el_store_root(&root), 0);
    assert_true(el_starts_with(root, *state));
    el_free(el_steal(root));
    setenv("ELEANOR_HOME", "", 1);
    assert_int_equal(el_store_root(&root), 0);
    assert_string_equal(root, "/xdg/eleanor/models");
    el_free(el_steal(root));
    unsetenv("XDG_DATA_HOME");
    assert_int_equal(el_store_root(&root), 0);
    assert_string_equal(root, "/home/u/.local/share/eleanor/models");
    el_free(el_steal(root));
    unsetenv("HOME");
    assert_int_equal(el_store_root(&root), EL_ENOENT);
    assert_non_null(strstr(el_error_detail(), "ELEANOR_HOME"));
}

static void a_committed_stage_is_found(void **state) {
    (void)state;
    el_auto_free char *path = NULL, *model = NULL;
    struct el_model_entry *entries = NULL;
    size_t count = 0;
    install("{}", false);
    assert_int_equal(el_store_find("OWNER/X", &path), 0);
    assert_true(el_ends_with(path, "/models/owner--x"));
    assert_int_equal(el_store_find(path, &model), 0); // by its folder
    assert_string_equal(path, model);
    assert_int_equal(el_store_list(&entries, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(entries[0].name, "owner/x");
    assert_int_equal(entries[0].bytes, 2 + 10 + 5);
    assert_false(entries[0].verified);
    el_store_list_done(entries, count);
}

static void a_stage_replaces_only_when_asked(void **state) {
    (void)state;
    struct el_stage stage;
    struct el_model_entry entry;
    el_auto_free char *path = NULL, *config = NULL;
    el_auto(el_str_done) struct el_str text = {0};
    install("old", false);
    assert_int_equal(el_stage_open(&stage), 0);
    put(&stage, "config.json", "new");
    name(&stage, "owner/x");
    assert_int_equal(el_stage_commit(&stage, false), EL_EINVAL);
    assert_non_null(strstr(el_error_detail(), "--replace"));
    el_stage_discard(&stage);
    install("new", true);
    assert_int_equal(el_store_find("owner/x", &path), 0);
    assert_int_equal(el_path_join(path, "config.json", &config), 0);
    assert_int_equal(el_read_file(config, 100, &text), 0);
    assert_string_equal(text.data, "new");
    assert_int_equal(el_store_remove("owner/x", &entry), 0);
    el_store_entry_done(&entry);
    assert_int_equal(el_store_remove("owner/x", &entry), EL_ENOENT);
}

static void what_is_not_recorded_is_not_installed(void **state) {
    (void)state;
    struct el_stage stage;
    el_auto_free char *extra = NULL, *path = NULL, *installed = NULL;
    assert_int_equal(el_stage_resume("x", "o", &stage), 0);
    put(&stage, "config.json", "{}");
    name(&stage, "x");
    assert_int_equal(el_stage_file(&stage, "1_Pooling/config.json.part", &extra), 0);
    assert_int_equal(el_write_file(extra, "x", 1), 0);
    assert_int_equal(el_stage_commit(&stage, false), 0);
    assert_int_equal(el_store_find("x", &path), 0);
    assert_int_equal(el_path_join(path, "1_Pooling", &installed), 0);
    assert_false(el_path_exists(installed));
}

static void a_stage_is_resumed_for_the_same_origin_alone(void **state) {
    (void)state;
    struct el_stage stage, other;
    el_auto_free char *file = NULL;
    assert_int_equal(el_stage_resume("x", "a@1", &stage), 0);
    put(&stage, "config.json", "{}");
    assert_int_equal(el_stage_file(&stage, "config.json", &file), 0);
    assert_int_equal(el_stage_resume("x", "a@1", &other), EL_EBUSY);
    assert_non_null(strstr(el_error_detail(), "another eleanor"));
    el_stage_close(&stage);
    assert_int_equal(el_stage_resume("x", "a@1", &stage), 0);
    assert_true(el_path_exists(file));
    el_stage_close(&stage);
    assert_int_equal(el_stage_resume("x", "a@2", &stage), 0);
    assert_false(el_path_exists(file));
    el_stage_discard(&stage);
}

static void incomplete_models_are_refused(void **state) {
    (void)state;
    struct el_stage stage;
    assert_int_equal(el_stage_open(&stage), 0);
    assert_int_equal(el_stage_check(&stage, NULL), EL_EFORMAT);
    put(&stage, "config.json", "{}");
    assert_int_equal(el_stage_check(&stage, NULL), EL_EFORMAT);
    assert_non_null(strstr(el_error_detail(), "model.safetensors"));
    put(&stage, "model.safetensors", "");
    assert_int_equal(el_stage_check(&stage, NULL), EL_EFORMAT);
    assert_non_null(strstr(el_error_detail(), "vocab.txt"));
    assert_int_equal(el_stage_check(&stage, el_catalog_find("minilm")), EL_ECHECKSUM);
    el_stage_discard(&stage);
}

static void catalog_models_drop_what_the_catalog_does_not_list(void **state) {
    (void)state;
    const struct el_catalog_model *model = el_catalog_find("minilm");
    const struct el_catalog_file *row;
    struct el_stage stage;
    assert_int_equal(el_stage_open(&stage), 0);
    put(&stage, "added_tokens.json", "{}");
    assert_int_equal(el_stage_check(&stage, model), EL_EFORMAT);
    for (size_t i = 0; (row = el_catalog_file(model, i)); i++)
        if (row->required && !el_record_has(&stage.record, row->path))
            assert_int_equal(el_record_add(&stage.record, row->path, row->size, row->sha256), 0);
    assert_int_equal(el_stage_check(&stage, model), 0);
    assert_true(stage.record.verified);
    assert_false(el_record_has(&stage.record, "added_tokens.json"));
    el_stage_discard(&stage);
}

static void sinks_resume_and_begin_again(void **state) {
    el_auto_free char *path = NULL;
    char sha256[EL_SHA256_TEXT], again[EL_SHA256_TEXT];
    uint64_t size = 0;
    struct el_sink sink;
    assert_int_equal(el_path_join(*state, "file", &path), 0);
    assert_int_equal(el_sink_resume(path, &sink), 0);
    assert_int_equal(el_sink_write(&sink, "ab", 2), 0);
    el_sink_close(&sink);
    assert_int_equal(el_sink_open(path, &sink), EL_EINVAL); // it is there
    assert_int_equal(el_sink_resume(path, &sink), 0);
    assert_int_equal(sink.size, 2);
    assert_int_equal(el_sink_write(&sink, "c", 1), 0);
    assert_int_equal(el_sink_finish(&sink, sha256), 0);
    assert_string_equal(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(el_sink_resume(path, &sink), 0);
    assert_int_equal(el_sink_restart(&sink), 0);
    assert_int_equal(el_sink_write(&sink, "abc", 3), 0);
    assert_int_equal(el_sink_finish(&sink, again), 0);
    assert_string_equal(again, sha256);
    assert_int_equal(el_sha256_file(path, &size, again), 0);
    assert_string_equal(again, sha256);
    assert_int_equal(size, 3);
}

static void a_disk_that_is_too_small_is_named(void **state) {
    assert_int_equal(el_disk_check(*state, 1), 0);
    assert_int_equal(el_disk_check(*state, UINT64_MAX / 2), EL_ETOOBIG);
    assert_non_null(strstr(el_error_detail(), "ELEANOR_HOME"));
}

static void removal_follows_no_link(void **state) {
    el_auto_free char *kept = NULL, *folder = NULL, *link = NULL;
    assert_int_equal(el_path_join(*state, "kept", &kept), 0);
    assert_int_equal(el_path_join(*state, "folder", &folder), 0);
    assert_int_equal(el_path_join(folder, "link", &link), 0);
    assert_int_equal(el_mkdirs(kept), 0);
    assert_int_equal(el_mkdirs(folder), 0);
    assert_int_equal(symlink(kept, link), 0);
    assert_int_equal(el_tree_remove(folder), 0);
    assert_false(el_path_exists(folder));
    assert_true(el_path_exists(kept));
    assert_int_equal(el_tree_remove(folder), 0); // it is gone already
}

int main(void) {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_home, remove_home)
    const struct CMUnitTest tests[] = {
        TEST(root_follows_the_variables),
        TEST(a_committed_stage_is_found),
        TEST(a_stage_replaces_only_when_asked),
        TEST(what_is_not_recorded_is_not_installed),
        TEST(a_stage_is_resumed_for_the_same_origin_alone),
        TEST(incomplete_models_are_refused),
        TEST(catalog_models_drop_what_the_catalog_does_not_list),
        TEST(sinks_resume_and_begin_again),
        TEST(a_disk_that_is_too_small_is_named),
        TEST(removal_follows_no_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
