// SPDX-License-Identifier: Apache-2.0
// The processors and the memory of the machine, as /proc and /sys tell of them.
#ifndef EL_TOPO_PROCESSORS_H
#define EL_TOPO_PROCESSORS_H

#include <stdint.h>

#include "base/str.h"

enum { EL_NODE_LIMIT = 32 };

struct el_numa_node {
    int id;
    uint64_t memory;     // bytes
    char processors[96]; // "0-31,64-95"
};

// Numbers are 0 and text is "" where the system does not say.
struct el_processors {
    char name[96];   // "AMD EPYC 7742 64-Core Processor"
    int threads;     // that this process may use (affinity and the cgroup's quota counted)
    int online;      // hardware threads of the machine
    int cores;       // of the machine
    int sockets;     //
    uint64_t memory; // bytes
    uint64_t memory_available;
    struct el_numa_node nodes[EL_NODE_LIMIT]; // by their id
    int node_count;
};

// `root` is "" for this machine, or a folder with the proc/ and sys/ of another one.
void el_processors_read(const char *root, struct el_processors *ret_processors);
// The name of the first processor alone; "" where the system does not say.
void el_processors_name(const char *root, char *ret_name, size_t size);

// The NUMA node of a PCI device ("00000000:07:00.0", "0000:07:00.0"); -1: unknown.
int el_pci_numa(const char *root, const char *pci);

// {"name": "...", "threads": 8, ..., "nodes": [...]}, without what is not known; EL_ENOMEM.
int el_processors_put_json(const struct el_processors *processors, struct el_str *json);

#endif
