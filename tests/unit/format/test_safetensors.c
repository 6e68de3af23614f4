// SPDX-License-Identifier: Apache-2.0
// safetensors: a good file, and files that lie about each thing that is believed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "format/safetensors.h"

// A file of this header and `data_size` bytes of data that count up from 0. `pad` spaces follow the header.
static void build(struct el_str *file, const char *header, size_t pad, size_t data_size) {
    const uint64_t length = strlen(header) + pad;
    el_str_clear(file);
    for (int i = 0; i < 8; i++)
        assert_int_equal(el_str_putc(file, (char)(length >> 8 * i)), 0);
    assert_int_equal(el_str_puts(file, header), 0);
    for (size_t i = 0; i < pad; i++)
        assert_int_equal(el_str_putc(file, ' '), 0);
    for (size_t i = 0; i < data_size; i++)
        assert_int_equal(el_str_putc(file, (char)i), 0);
}

// Parses a copy that ends where the memory ends, so that a read too far shows under the sanitizer.
static int parse(const struct el_str *file, size_t size, struct el_safetensors **ret_file) {
    uint8_t *exact = NULL;
    assert_int_equal(el_alloc(size, 1, &exact), 0);
    memcpy(exact, file->data, size);
    const int status = el_safetensors_parse("test", exact, size, ret_file);
    el_free(exact); // the tests below look at names and shapes only
    return status;
}

static void refused(const char *header, size_t data_size, int status, const char *detail) {
    struct el_str file = {0};
    struct el_safetensors *tensors = NULL;
    build(&file, header, 0, data_size);
    const int got = parse(&file, file.length, &tensors);
    if (got != status || !strstr(el_error_detail(), detail))
        fail_msg("%s: got %d \"%s\", wanted %d \"%s\"", header, got, el_error_detail(), status, detail);
    assert_null(tensors);
    el_str_done(&file);
}

static const char good[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                           "\"b\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[24,30]},"
                           "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                           "\"s\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[30,32]},"
                           "\"e\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[32,32]},"
                           "\"u\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[32,40]}}";

static void good_file(void **state) {
    (void)state;
    struct el_str file = {0};
    struct el_safetensors *tensors = NULL;
    struct el_tensor tensor = {0};
    build(&file, good, 8 - sizeof good % 8 + 1, 40);
    assert_int_equal(el_safetensors_parse("test", file.data, file.length, &tensors), 0);
    assert_int_equal(el_safetensors_count(tensors), 5);
    assert_string_equal(el_safetensors_name(tensors, 0), "a");
    assert_int_equal(el_safetensors_find(tensors, "a", &tensor), 0);
    assert_int_equal(tensor.dtype, EL_F32);
    assert_int_equal(tensor.rank, 2);
    assert_int_equal(tensor.dim[0], 2);
    assert_int_equal(tensor.dim[1], 3);
    assert_int_equal(*(const uint8_t *)tensor.data, 0);
    assert_int_equal(el_safetensors_find(tensors, "b", &tensor), 0);
    assert_int_equal(*(const uint8_t *)tensor.data, 24);
    assert_int_equal(el_safetensors_find(tensors, "s", &tensor), 0);
    assert_int_equal(tensor.rank, 0);
    assert_int_equal(el_safetensors_find(tensors, "e", &tensor), 0);
    assert_int_equal(el_tensor_count(&tensor), 0);
    assert_int_equal(el_safetensors_find(tensors, "u", &tensor), EL_EUNSUPPORTED);
    assert_non_null(strstr(el_error_detail(), "I64"));
    assert_int_equal(el_safetensors_find(tensors, "none", &tensor), EL_ENOENT);
    assert_non_null(strstr(el_error_detail(), "\"none\""));
    el_safetensors_close(tensors);
    el_str_done(&file);
}

// Whatever the header's length does to the data's place, a tensor's data is aligned and the same.
static void data_is_aligned(void **state) {
    (void)state;
    for (size_t pad = 0; pad < 16; pad++) {
        struct el_str file = {0};
        struct el_safetensors *tensors = NULL;
        struct el_tensor tensor = {0};
        build(&file,
              "{\"b\":{\"dtype\":\"I8\",\"shape\":[3],\"data_offsets\":[0,3]},"
              "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[3,11]},"
              "\"e\":{\"dtype\":\"F16\",\"shape\":[0],\"data_offsets\":[11,11]}}",
              pad, 11);
        assert_int_equal(el_safetensors_parse("test", file.data, file.length, &tensors), 0);
        assert_int_equal(el_safetensors_find(tensors, "a", &tensor), 0);
        assert_int_equal((uintptr_t)tensor.data % 4, 0);
        assert_memory_equal(tensor.data, "\3\4\5\6\7\10\11\12", 8);
        assert_int_equal(el_safetensors_find(tensors, "e", &tensor), 0);
        assert_int_equal((uintptr_t)tensor.data % 2, 0);
        el_safetensors_close(tensors);
        el_str_done(&file);
    }
}

static void truncated_at_every_byte(void **state) {
    (void)state;
    struct el_str file = {0};
    build(&file, good, 0, 40);
    for (size_t size = 0; size < file.length; size++) {
        struct el_safetensors *tensors = NULL;
        assert_int_equal(parse(&file, size, &tensors), EL_EFORMAT);
        assert_null(tensors);
    }
    assert_int_equal(el_str_putc(&file, 'x'), 0);
    struct el_safetensors *tensors = NULL;
    assert_int_equal(parse(&file, file.length, &tensors), EL_EFORMAT);
    assert_non_null(strstr(el_error_detail(), "1 bytes follow"));
    el_str_done(&file);
}

// Flipping any one bit of the header gives a refusal or a file whose tensors all lie inside.
static void any_bit_flipped(void **state) {
    (void)state;
    struct el_str file = {0};
    build(&file, good, 0, 40);
    for (size_t bit = 0; bit < 8 * (8 + strlen(good)); bit++) {
        struct el_safetensors *tensors = NULL;
        file.data[bit / 8] = (char)(file.data[bit / 8] ^ 1 << bit % 8);
        if (el_safetensors_parse("test", file.data, file.length, &tensors) == 0) {
            for (int i = 0; i < el_safetensors_count(tensors); i++) {
                struct el_tensor tensor;
                if (el_safetensors_find(tensors, el_safetensors_name(tensors, i), &tensor) < 0) continue;
                const size_t bytes = (size_t)el_tensor_count(&tensor) * el_dtype_size(tensor.dtype);
                assert_true(bytes <= 40);
                uint8_t copy[40];
                memcpy(copy, tensor.data, bytes);
            }
        }
        el_safetensors_close(tensors);
        file.data[bit / 8] = (char)(file.data[bit / 8] ^ 1 << bit % 8);
    }
    el_str_done(&file);
}

#define ROW(dtype, shape, offsets) \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void hostile_headers(void **state) {
    (void)state;
    refused("", 0, EL_EFORMAT, "does not begin with");
    refused(" {}", 0, EL_EFORMAT, "does not begin with");
    refused("[]", 0, EL_EFORMAT, "does not begin with");
    refused("{", 0, EL_EFORMAT, "invalid JSON");
    refused("{}x", 0, EL_EFORMAT, "invalid JSON");
    refused("{\"a\":1}", 0, EL_EFORMAT, "must have dtype, shape");
    refused("{\"a\":{}}", 0, EL_EFORMAT, "must have dtype, shape");
    refused("{\"__metadata__\":7}", 0, EL_EFORMAT, "__metadata__");
    refused("{\"__metadata__\":{\"a\":7}}", 0, EL_EFORMAT, "must be a string");
    refused("{\"a\":" ROW("F32", "[1]", "[0,4]") ",\"a\":" ROW("F32", "[1]", "[4,8]") "}", 8, EL_EFORMAT,
            "duplicate");
    refused("{\"a\\u0000b\":" ROW("F32", "[1]", "[0,4]") "}", 4, EL_EFORMAT, "invalid JSON");
    refused("{\"a\":" ROW("F33", "[1]", "[0,4]") "}", 4, EL_EFORMAT, "unknown dtype \"F33\"");
    refused("{\"a\":" ROW("F32", "[2]", "[0,4]") "}", 4, EL_EFORMAT, "takes 8 bytes by its shape");
    refused("{\"a\":" ROW("F32", "[-1]", "[0,4]") "}", 4, EL_EFORMAT, "whole numbers >= 0");
    refused("{\"a\":" ROW("F32", "[1.0]", "[0,4]") "}", 4, EL_EFORMAT, "whole numbers >= 0");
    refused("{\"a\":" ROW("F32", "[\"1\"]", "[0,4]") "}", 4, EL_EFORMAT, "whole numbers >= 0");
    refused("{\"a\":" ROW("F32", "1", "[0,4]") "}", 4, EL_EFORMAT, "must have dtype, shape");
    refused("{\"a\":" ROW("F32", "[4294967296,4294967296]", "[0,0]") "}", 0, EL_EFORMAT,
            "too large to exist");
    refused("{\"a\":" ROW("F32", "[9223372036854775807]", "[0,4]") "}", 4, EL_EFORMAT, "too large to exist");
    refused("{\"a\":" ROW("F32", "[18446744073709551617]", "[0,4]") "}", 4, EL_EFORMAT, "invalid JSON");
    refused("{\"a\":" ROW("F4", "[3]", "[0,1]") "}", 1, EL_EFORMAT, "whole bytes");
    refused("{\"a\":" ROW("F32", "[1]", "[-4,0]") "}", 4, EL_EFORMAT, "data_offsets must be");
    refused("{\"a\":" ROW("F32", "[1]", "[4,0]") "}", 4, EL_EFORMAT, "takes 4 bytes by its shape");
    refused("{\"a\":" ROW("F32", "[1]", "[0]") "}", 4, EL_EFORMAT, "two data_offsets");
    refused("{\"a\":" ROW("F32", "[1]", "[9223372036854775803,9223372036854775807]") "}", 4, EL_EFORMAT,
            "the file is cut short");
    refused("{\"a\":" ROW("F32", "[1]", "[4,8]") "}", 8, EL_EFORMAT, "leaves a hole after");
    refused("{\"a\":" ROW("F32", "[1]", "[0,4]") ",\"b\":" ROW("F32", "[1]", "[8,12]") "}", 12, EL_EFORMAT,
            "leaves a hole after");
    refused("{\"a\":" ROW("F32", "[2]", "[0,8]") ",\"b\":" ROW("F32", "[1]", "[4,8]") "}", 8, EL_EFORMAT,
            "overlaps");
    refused("{\"a\":" ROW("F32", "[1]", "[0,4]") ",\"b\":" ROW("F32", "[1]", "[0,4]") "}", 4, EL_EFORMAT,
            "overlaps");
    refused("{\"a\":" ROW("F32", "[1]", "[0,4]") "}", 5, EL_EFORMAT, "1 bytes follow");
    refused("{\"\xff\":" ROW("F32", "[1]", "[0,4]") "}", 4, EL_EFORMAT, "invalid JSON");
}

static void deep_json(void **state) {
    (void)state;
    struct el_str header = {0};
    assert_int_equal(el_str_puts(&header, "{\"a\":"), 0);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(el_str_putc(&header, '['), 0);
    refused(header.data, 0, EL_EFORMAT, "invalid JSON");
    el_str_done(&header);
}

static void header_length_lies(void **state) {
    (void)state;
    static const struct {
        uint64_t length;
        int status;
    } cases[] = {{UINT64_MAX, EL_ETOOBIG}, {1ull << 63, EL_ETOOBIG}, {100000001, EL_ETOOBIG},
                 {100000000, EL_EFORMAT},  {17, EL_EFORMAT},         {0, EL_EFORMAT}};
    for (size_t i = 0; i < EL_COUNT(cases); i++) {
        char bytes[24] = "        {}              ";
        struct el_safetensors *tensors = NULL;
        for (int byte = 0; byte < 8; byte++)
            bytes[byte] = (char)(cases[i].length >> 8 * byte);
        assert_int_equal(el_safetensors_parse("test", bytes, sizeof bytes, &tensors), cases[i].status);
    }
}

static void more_dimensions_than_a_tensor_has(void **state) {
    (void)state;
    struct el_str file = {0};
    struct el_safetensors *tensors = NULL;
    struct el_tensor tensor = {0};
    build(&file, "{\"a\":" ROW("F32", "[1,1,1,1,1]", "[0,4]") "}", 0, 4);
    assert_int_equal(el_safetensors_parse("test", file.data, file.length, &tensors), 0);
    assert_int_equal(el_safetensors_find(tensors, "a", &tensor), EL_EUNSUPPORTED);
    assert_non_null(strstr(el_error_detail(), "5 dimensions"));
    el_safetensors_close(tensors);
    el_str_done(&file);
}

static void files(void **state) {
    (void)state;
    char path[] = "/tmp/eleanor-safetensors-XXXXXX";
    struct el_str file = {0};
    struct el_safetensors *tensors = NULL;
    struct el_tensor tensor = {0};
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(el_safetensors_open(path, &tensors), EL_EFORMAT); // empty
    assert_non_null(strstr(el_error_detail(), path));
    build(&file, good, 0, 40);
    assert_int_equal(el_write_file(path, file.data, file.length), 0);
    assert_int_equal(el_safetensors_open(path, &tensors), 0);
    assert_int_equal(el_safetensors_find(tensors, "b", &tensor), 0);
    assert_int_equal(*(const uint8_t *)tensor.data, 24);
    el_safetensors_close(tensors);
    unlink(path);
    assert_int_equal(el_safetensors_open(path, &tensors), EL_ENOENT);
    el_str_done(&file);
    el_safetensors_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_file),
        cmocka_unit_test(data_is_aligned),
        cmocka_unit_test(truncated_at_every_byte),
        cmocka_unit_test(any_bit_flipped),
        cmocka_unit_test(hostile_headers),
        cmocka_unit_test(deep_json),
        cmocka_unit_test(header_length_lies),
        cmocka_unit_test(more_dimensions_than_a_tensor_has),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
