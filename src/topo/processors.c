// SPDX-License-Identifier: Apache-2.0
// Reads /proc and /sys. Nothing here fails: what is not there is unknown.
#include "topo/processors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"

enum { CPU_LIMIT = 4096, PATH_SIZE = 512 };

// ---- small files ----

static FILE *open_file(const char *root, const char *path) {
    char whole[PATH_SIZE];
    if (snprintf(whole, sizeof whole, "%s%s", root, path) >= (int)sizeof whole) return NULL;
    return fopen(whole, "re");
}

// The first line, without its end; false when there is none.
static bool read_line(const char *root, const char *path, char *ret_line, size_t size) {
    FILE *file = open_file(root, path);
    if (!file) return false;
    const bool good = fgets(ret_line, (int)size, file) != NULL;
    fclose(file);
    if (good) ret_line[strcspn(ret_line, "\n")] = '\0';
    return good;
}

static bool read_int(const char *root, const char *path, int *ret_number) {
    char line[32];
    return read_line(root, path, line, sizeof line) && sscanf(line, "%d", ret_number) == 1;
}

// What stands behind `key` and a colon in the first line of the file that begins (or, for a NUMA node's, goes
// on) so.
static bool read_value(const char *root, const char *path, const char *key, char *ret_value, size_t size) {
    char line[256];
    bool found = false;
    FILE *file = open_file(root, path);
    if (!file) return false;
    while (!found && fgets(line, sizeof line, file)) {
        const char *at = strstr(line, key), *colon = at ? strchr(at, ':') : NULL;
        if (!colon) continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(ret_value, size, "%.*s", (int)strcspn(colon, "\n"), colon);
        found = true;
    }
    fclose(file);
    return found;
}

// A "MemTotal: 123 kB" in bytes; 0 when it is not there.
static uint64_t read_kilobytes(const char *root, const char *path, const char *key) {
    char value[64];
    uint64_t kilobytes = 0;
    if (!read_value(root, path, key, value, sizeof value) || sscanf(value, "%" SCNu64, &kilobytes) != 1)
        return 0;
    return kilobytes * 1024;
}

// ---- processors ----

void el_processors_name(const char *root, char *ret_name, size_t size) {
    ret_name[0] = '\0';
    read_value(root, "/proc/cpuinfo", "model name", ret_name, size);
}

// The highest number of a hardware thread: "0-7", "0,2-5".
static int last_cpu(const char *root) {
    char list[256];
    int last = 0;
    if (!read_line(root, "/sys/devices/system/cpu/present", list, sizeof list)) return -1;
    const char *number = list;
    for (const char *c = list; *c; c++)
        if (*c == ',' || *c == '-') number = c + 1;
    sscanf(number, "%d", &last);
    return EL_MIN(last, CPU_LIMIT - 1);
}

// Counts sockets and cores by the ids that each hardware thread has.
static void count_cores(const char *root, struct el_processors *processors) {
    uint64_t seen[CPU_LIMIT]; // socket and core
    int seen_count = 0, last_socket = -1;
    const int last = last_cpu(root);
    for (int cpu = 0; cpu <= last; cpu++) {
        char path[96];
        int socket = 0, core = 0;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
        if (!read_int(root, path, &socket)) continue; // it is off
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/core_id", cpu);
        read_int(root, path, &core);
        processors->online++;
        last_socket = EL_MAX(last_socket, socket);
        const uint64_t id = (uint64_t)(uint32_t)socket << 32 | (uint32_t)core;
        int place = 0;
        while (place < seen_count && seen[place] != id)
            place++;
        if (place == seen_count) seen[seen_count++] = id;
    }
    processors->cores = seen_count;
    processors->sockets = last_socket + 1;
}

static void read_nodes(const char *root, struct el_processors *processors) {
    enum { ID_LIMIT = 256 };
    for (int id = 0; id < ID_LIMIT && processors->node_count < EL_NODE_LIMIT; id++) {
        struct el_numa_node node = {.id = id};
        char path[96];
        snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist", id);
        if (!read_line(root, path, node.processors, sizeof node.processors)) continue;
        snprintf(path, sizeof path, "/sys/devices/system/node/node%d/meminfo", id);
        node.memory = read_kilobytes(root, path, "MemTotal");
        processors->nodes[processors->node_count++] = node;
    }
}

void el_processors_read(const char *root, struct el_processors *ret_processors) {
    struct el_processors processors = {.threads = el_cpu_count()};
    el_processors_name(root, processors.name, sizeof processors.name);
    processors.memory = read_kilobytes(root, "/proc/meminfo", "MemTotal");
    processors.memory_available = read_kilobytes(root, "/proc/meminfo", "MemAvailable");
    count_cores(root, &processors);
    read_nodes(root, &processors);
    *ret_processors = processors;
}

int el_pci_numa(const char *root, const char *pci) {
    unsigned domain, bus, device, function;
    char path[96];
    int node = -1;
    if (sscanf(pci, "%x:%x:%x.%x", &domain, &bus, &device, &function) != 4) return -1;
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%04x:%02x:%02x.%x/numa_node", domain, bus, device,
             function);
    read_int(root, path, &node); // it holds -1 where there is but one node
    return node;
}

// What is not known is left out.
static int put_number(const char *name, uint64_t value, struct el_str *json) {
    return value ? el_str_printf(json, ", \"%s\": %" PRIu64, name, value) : 0;
}

int el_processors_put_json(const struct el_processors *processors, struct el_str *json) {
    EL_TRY(el_str_puts(json, "{\"name\": "));
    EL_TRY(el_str_put_json(json, processors->name, strlen(processors->name)));
    EL_TRY(put_number("threads", (uint64_t)processors->threads, json));
    EL_TRY(put_number("online", (uint64_t)processors->online, json));
    EL_TRY(put_number("cores", (uint64_t)processors->cores, json));
    EL_TRY(put_number("sockets", (uint64_t)processors->sockets, json));
    EL_TRY(put_number("memory", processors->memory, json));
    EL_TRY(put_number("memory_available", processors->memory_available, json));
    EL_TRY(el_str_puts(json, ", \"nodes\": ["));
    for (int i = 0; i < processors->node_count; i++) {
        const struct el_numa_node *node = &processors->nodes[i];
        EL_TRY(el_str_printf(json, "%s{\"id\": %d, \"processors\": \"%s\"", i ? ", " : "", node->id,
                             node->processors));
        EL_TRY(put_number("memory", node->memory, json));
        EL_TRY(el_str_putc(json, '}'));
    }
    return el_str_puts(json, "]}");
}
