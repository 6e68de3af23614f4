// SPDX-License-Identifier: Apache-2.0
// Reads machine files. It stands on libyaml alone and takes no memory of its own, since it becomes a part of
// the fake drivers, which know nothing of the project that they are tested with.
#include "machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { LIKE_DEPTH = 4 };

struct reader {
    const char *path;
    yaml_document_t *document;
    struct machine *machine;
    char *problem; // of the first thing that is wrong
    size_t size;
};

// ---- what is wrong, and the values ----

static bool __attribute__((format(printf, 3, 4)))
wrong(const struct reader *reader, const yaml_node_t *node, const char *format, ...) {
    int length =
        node ? snprintf(reader->problem, reader->size, "%s:%zu: ", reader->path, node->start_mark.line + 1)
             : snprintf(reader->problem, reader->size, "%s: ", reader->path);
    va_list args;
    va_start(args, format);
    if (length > 0 && (size_t)length < reader->size)
        vsnprintf(reader->problem + length, reader->size - (size_t)length, format, args);
    va_end(args);
    return false;
}

// NULL when the node is no plain value.
static const char *text_of(const yaml_node_t *node) {
    return node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

static bool read_text(const struct reader *reader, const yaml_node_t *node, char *ret_text, size_t size) {
    const char *text = text_of(node);
    if (!text) return wrong(reader, node, "a text is wanted here");
    if (strlen(text) >= size) return wrong(reader, node, "\"%s\" is longer than %zu bytes", text, size - 1);
    snprintf(ret_text, size, "%s", text);
    return true;
}

// A number, with a unit where one makes it readable: 81920 MiB, 400 W.
static bool read_number(const struct reader *reader, const yaml_node_t *node, int64_t *ret_number) {
    static const struct {
        const char *unit;
        int64_t factor;
    } units[] = {{"", 1},     {" MiB", 1 << 20}, {" GiB", 1 << 30}, {" mW", 1}, {" W", 1000},
                 {" MHz", 1}, {" C", 1},         {" %", 1},         {" ms", 1}};
    const char *text = text_of(node);
    char *end = NULL;
    long long number = text ? strtoll(text, &end, 10) : 0;
    if (!text || end == text || number < 0) return wrong(reader, node, "a number from 0 up is wanted here");
    for (size_t i = 0; i < COUNT(units); i++)
        if (!strcmp(end, units[i].unit)) {
            *ret_number = number * units[i].factor;
            return true;
        }
    return wrong(reader, node, "\"%s\": a number takes the units MiB, GiB, W, mW, MHz, C, %% and ms", text);
}

static bool read_word(const struct reader *reader, const yaml_node_t *node, const char *const *words,
                      size_t count, int *ret_place) {
    const char *text = text_of(node);
    for (size_t i = 0; text && i < count; i++)
        if (words[i] && !strcmp(text, words[i])) {
            *ret_place = (int)i;
            return true;
        }
    char list[160] = "";
    for (size_t i = 0; i < count; i++)
        if (words[i])
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", list[0] ? ", " : "", words[i]);
    return wrong(reader, node, "\"%s\" is none of: %s", text ? text : "", list);
}

// Calls `read` for each key and value of a mapping.
typedef bool read_key_fn(const struct reader *reader, const char *key, const yaml_node_t *value, void *into);
static bool read_mapping(const struct reader *reader, const yaml_node_t *node, read_key_fn *read,
                         void *into) {
    if (node->type != YAML_MAPPING_NODE) return wrong(reader, node, "\"key: value\" pairs are wanted here");
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top;
         pair++) {
        const yaml_node_t *key = yaml_document_get_node(reader->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(reader->document, pair->value);
        if (!text_of(key)) return wrong(reader, key, "a key is a plain word");
        if (!read(reader, text_of(key), value, into)) return false;
    }
    return true;
}

// Calls `read` for each item of a list of at most `limit`.
typedef bool read_item_fn(const struct reader *reader, int place, const yaml_node_t *value, void *into);
static bool read_list(const struct reader *reader, const yaml_node_t *node, int limit, read_item_fn *read,
                      void *into, int *ret_count) {
    if (node->type != YAML_SEQUENCE_NODE) return wrong(reader, node, "a list is wanted here");
    int count = 0;
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top;
         item++) {
        if (count == limit) return wrong(reader, node, "at most %d of these", limit);
        if (!read(reader, count++, yaml_document_get_node(reader->document, *item), into)) return false;
    }
    *ret_count = count;
    return true;
}

// ---- GPUs ----

static bool read_xid(const struct reader *reader, int place, const yaml_node_t *value, void *into) {
    struct machine_gpu *gpu = into;
    int64_t xid = 0;
    if (!read_number(reader, value, &xid)) return false;
    gpu->xids[place] = (int)xid;
    return true;
}

static bool read_gpu_key(const struct reader *reader, const char *key, const yaml_node_t *value, void *into) {
    struct machine_gpu *gpu = into;
#define X(number) \
    if (!strcmp(key, #number)) return read_number(reader, value, &gpu->number);
    MACHINE_NUMBERS(X)
#undef X
    if (!strcmp(key, "name")) return read_text(reader, value, gpu->name, sizeof gpu->name);
    if (!strcmp(key, "uuid")) return read_text(reader, value, gpu->uuid, sizeof gpu->uuid);
    if (!strcmp(key, "pci")) return read_text(reader, value, gpu->pci, sizeof gpu->pci);
    if (!strcmp(key, "xids")) return read_list(reader, value, MACHINE_XIDS, read_xid, gpu, &gpu->xid_count);
    return wrong(reader, value, "a GPU has no \"%s\"", key);
}

static void unknown_gpu(struct machine_gpu *gpu) {
    *gpu = (struct machine_gpu){0};
#define X(number) gpu->number = -1;
    MACHINE_NUMBERS(X)
#undef X
    gpu->memory_used = gpu->nvlinks = 0;
}

static bool read_gpu(const struct reader *reader, int place, const yaml_node_t *value, void *into) {
    struct machine_gpu *gpu = &reader->machine->gpus[place];
    *gpu = *(const struct machine_gpu *)into; // what all have in common
    if (!read_mapping(reader, value, read_gpu_key, gpu)) return false;
    if (!gpu->name[0] || !gpu->uuid[0] || !gpu->pci[0] || gpu->memory < 0 || gpu->capability < 0)
        return wrong(reader, value, "a GPU needs name, uuid, pci, memory and capability");
    return true;
}

static bool read_order(const struct reader *reader, int place, const yaml_node_t *value, void *into) {
    int64_t gpu = 0;
    (void)into;
    if (!read_number(reader, value, &gpu)) return false;
    reader->machine->order[place] = (int)gpu;
    for (int i = 0; i < place; i++)
        if (reader->machine->order[i] == gpu) gpu = reader->machine->gpu_count;
    return gpu < reader->machine->gpu_count || wrong(reader, value, "order: names each GPU once");
}

// ---- links ----

static bool read_link(const char *text, struct machine_link *ret_link) {
    static const char *const paths[] = {"X", "PIX", "PXB", "PHB", "NODE", "SYS"};
    char *end = NULL;
    if (!strncmp(text, "NV", 2)) {
        long count = strtol(text + 2, &end, 10);
        *ret_link = (struct machine_link){MACHINE_NODE, (int)count};
        return count > 0 && *end == '\0';
    }
    for (size_t i = 0; i < COUNT(paths); i++)
        if (!strcmp(text, paths[i])) {
            *ret_link = (struct machine_link){(enum machine_path)i, 0};
            return true;
        }
    return false;
}

// The matrix as `nvidia-smi topo -m` prints it, row by row, without its headings.
static bool read_links(const struct reader *reader, const yaml_node_t *node) {
    struct machine *machine = reader->machine;
    const int count = machine->gpu_count;
    const char *rest = text_of(node);
    if (!rest) return wrong(reader, node, "the matrix of links is one text, \"links: |\"");
    for (int i = 0; i < count * count; i++) {
        char word[16];
        int length = 0;
        struct machine_link link;
        if (sscanf(rest, " %15s%n", word, &length) != 1)
            return wrong(reader, node, "links: %d of %d x %d are missing", count * count - i, count, count);
        if (!read_link(word, &link) || (link.path == MACHINE_SELF) != (i / count == i % count))
            return wrong(reader, node, "links: row %d has \"%s\" in column %d", i / count, word, i % count);
        machine->links[i / count][i % count] = link;
        rest += length;
    }
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++)
            if (machine->links[i][k].path != machine->links[k][i].path ||
                machine->links[i][k].nvlinks != machine->links[k][i].nvlinks)
                return wrong(reader, node, "links: %d to %d is not as %d to %d", i, k, k, i);
    if (rest[strspn(rest, " \n\t")]) return wrong(reader, node, "links: more than %d x %d", count, count);
    return true;
}

// ---- failures ----

static const char *const call_words[] = {"any", "open", "alloc", "copy", "launch", "sync"};
static const char *const outcome_words[] = {NULL,  "lost",  "off-the-bus", "ecc",
                                            "oom", "wrong", "slow",        "hang"};

bool machine_call_of(const char *word, enum machine_call *ret_call) {
    for (size_t i = 0; i < COUNT(call_words); i++)
        if (!strcmp(word, call_words[i])) {
            *ret_call = (enum machine_call)i;
            return true;
        }
    return false;
}

bool machine_outcome_of(const char *word, enum machine_outcome *ret_outcome) {
    for (size_t i = 1; i < COUNT(outcome_words); i++)
        if (!strcmp(word, outcome_words[i])) {
            *ret_outcome = (enum machine_outcome)i;
            return true;
        }
    return false;
}

static bool read_failure_key(const struct reader *reader, const char *key, const yaml_node_t *value,
                             void *into) {
    struct machine_failure *failure = into;
    int64_t number = 0;
    int word = 0;
    if (!strcmp(key, "gpu")) {
        if (!read_number(reader, value, &number)) return false;
        failure->gpu = (int)number;
        return true;
    }
    if (!strcmp(key, "call")) {
        if (!read_word(reader, value, call_words, COUNT(call_words), &word)) return false;
        failure->call = (enum machine_call)word;
        return true;
    }
    if (!strcmp(key, "outcome")) {
        if (!read_word(reader, value, outcome_words, COUNT(outcome_words), &word)) return false;
        failure->outcome = (enum machine_outcome)word;
        return true;
    }
    if (!strcmp(key, "after")) return read_number(reader, value, &failure->after);
    if (!strcmp(key, "times")) return read_number(reader, value, &failure->times);
    if (!strcmp(key, "bytes")) return read_number(reader, value, &failure->bytes);
    if (!strcmp(key, "milliseconds")) return read_number(reader, value, &failure->milliseconds);
    return wrong(reader, value, "a failure has no \"%s\"", key);
}

static bool read_failure(const struct reader *reader, int place, const yaml_node_t *value, void *into) {
    struct machine_failure *failure = &reader->machine->failures[place];
    (void)into;
    *failure = (struct machine_failure){.after = 1};
    if (!read_mapping(reader, value, read_failure_key, failure)) return false;
    if (failure->outcome == MACHINE_OK) return wrong(reader, value, "a failure needs an outcome");
    if (failure->gpu >= reader->machine->gpu_count)
        return wrong(reader, value, "a failure of GPU %d, but there are %d", failure->gpu,
                     reader->machine->gpu_count);
    if (failure->outcome == MACHINE_SLOW && failure->milliseconds == 0)
        return wrong(reader, value, "slow: how many milliseconds?");
    return true;
}

// ---- the file ----

static bool load(const char *path, int depth, struct machine *machine, char *problem, size_t size);

// `like: NAME`: begins with all that NAME.yaml beside this file says.
static bool read_like(const struct reader *reader, const yaml_node_t *value, int depth) {
    char path[512];
    const char *slash = strrchr(reader->path, '/');
    if (!text_of(value)) return wrong(reader, value, "like: the name of a machine is wanted");
    if (depth == LIKE_DEPTH) return wrong(reader, value, "like: %d files deep, perhaps in a circle", depth);
    snprintf(path, sizeof path, "%.*s%s.yaml", slash ? (int)(slash - reader->path + 1) : 0, reader->path,
             text_of(value));
    return load(path, depth + 1, reader->machine, reader->problem, reader->size);
}

// The keys in the order in which they need each other, however the file orders them.
static const char *const keys[] = {"like", "driver", "cuda",  "nvswitch", "each",
                                   "gpus", "order",  "links", "failures"};
enum { LIKE, DRIVER, CUDA, NVSWITCH, EACH, GPUS, ORDER, LINKS, FAILURES, KEYS };

static bool take_key(const struct reader *reader, const char *key, const yaml_node_t *value, void *into) {
    const yaml_node_t **values = into;
    for (int i = 0; i < KEYS; i++)
        if (!strcmp(key, keys[i])) {
            values[i] = value;
            return true;
        }
    return wrong(reader, value, "a machine has no \"%s\"", key);
}

static bool read_cuda(const struct reader *reader, const yaml_node_t *node) {
    int major = 0, minor = 0;
    if (!text_of(node) || sscanf(text_of(node), "%d.%d", &major, &minor) != 2)
        return wrong(reader, node, "cuda: a version like \"12.4\" is wanted");
    reader->machine->cuda = 1000 * major + 10 * minor;
    return true;
}

static bool read_gpus(const struct reader *reader, const yaml_node_t *each, const yaml_node_t *gpus) {
    struct machine *machine = reader->machine;
    struct machine_gpu common;
    unknown_gpu(&common);
    if (each && !read_mapping(reader, each, read_gpu_key, &common)) return false;
    if (!read_list(reader, gpus, MACHINE_GPUS, read_gpu, &common, &machine->gpu_count)) return false;
    for (int i = 0; i < machine->gpu_count; i++) {
        machine->order[i] = i;
        for (int k = 0; k < machine->gpu_count; k++)
            machine->links[i][k].path = i == k ? MACHINE_SELF : MACHINE_PHB;
    }
    return true;
}

static bool read_machine(const struct reader *reader, int depth) {
    struct machine *machine = reader->machine;
    const yaml_node_t *root = yaml_document_get_root_node(reader->document), *at[KEYS] = {0};
    if (!root) return wrong(reader, NULL, "the file is empty");
    if (!read_mapping(reader, root, take_key, at)) return false;
    if (!at[LIKE] && !at[GPUS]) return wrong(reader, root, "a machine needs gpus, or like: another");
    if (at[EACH] && !at[GPUS]) return wrong(reader, at[EACH], "each: needs gpus");
    if (at[LIKE] && !read_like(reader, at[LIKE], depth)) return false;
    if (at[DRIVER] && !read_text(reader, at[DRIVER], machine->driver, sizeof machine->driver)) return false;
    if (at[CUDA] && !read_cuda(reader, at[CUDA])) return false;
    if (at[NVSWITCH]) machine->nvswitch = text_of(at[NVSWITCH]) && !strcmp(text_of(at[NVSWITCH]), "true");
    if (at[GPUS] && !read_gpus(reader, at[EACH], at[GPUS])) return false;
    int count = machine->gpu_count, *failures = &machine->failure_count;
    if (at[ORDER] && !read_list(reader, at[ORDER], MACHINE_GPUS, read_order, NULL, &count)) return false;
    if (count != machine->gpu_count) return wrong(reader, at[ORDER], "order: names each GPU once");
    if (at[LINKS] && !read_links(reader, at[LINKS])) return false;
    return !at[FAILURES] || read_list(reader, at[FAILURES], MACHINE_FAILURES, read_failure, NULL, failures);
}

static bool load(const char *path, int depth, struct machine *machine, char *problem, size_t size) {
    yaml_parser_t parser;
    yaml_document_t document;
    struct reader reader = {path, &document, machine, problem, size};
    FILE *file = fopen(path, "re");
    if (!file) return wrong(&reader, NULL, "cannot be opened");
    bool good = yaml_parser_initialize(&parser);
    if (good) {
        yaml_parser_set_input_file(&parser, file);
        good = yaml_parser_load(&parser, &document);
        if (good) {
            good = read_machine(&reader, depth);
            yaml_document_delete(&document);
        } else {
            snprintf(problem, size, "%s:%zu: %s", path, parser.problem_mark.line + 1, parser.problem);
        }
        yaml_parser_delete(&parser);
    }
    fclose(file);
    return good;
}

bool machine_load(const char *path, struct machine *ret_machine, char *ret_problem, size_t size) {
    *ret_machine = (struct machine){.driver = "550.54.15", .cuda = 12040};
    return load(path, 0, ret_machine, ret_problem, size);
}
