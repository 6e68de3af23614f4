// SPDX-License-Identifier: Apache-2.0
// Taking back who was given up: a thread asks each member that is out, at growing distances, whether it is
// well, and when it was well several times in a row it has it join again. Knows nothing of devices.
#ifndef EL_ENGINE_REJOIN_H
#define EL_ENGINE_REJOIN_H

#include <stdbool.h>
#include <stdint.h>

enum { EL_REJOIN_MEMBERS = 64 }; // at most

struct el_rejoin_options {
    int members;
    // The first distance; each setback (a member that is not well, does not get in, or is out again) doubles
    // it, up to the longest. A member that has stayed in for the longest begins with the first again.
    uint64_t first_ns, longest_ns;
    int probes; // times in a row that a member must be well, at the first distance from each other
    // Both are called from the thread, and return 0 or a negative code with its detail.
    int (*probe)(void *context, int member); // is it well?
    int (*join)(void *context, int member);  // it works again when this returns 0
    void *context;
};

struct el_rejoin;

// The thread runs from el_rejoin_start to el_rejoin_stop. EL_EINVAL, EL_ENOMEM.
int el_rejoin_open(const struct el_rejoin_options *options, struct el_rejoin **ret_rejoin);
int el_rejoin_start(struct el_rejoin *rejoin);
void el_rejoin_stop(struct el_rejoin *rejoin); // waits for the probe or the join that is under way
void el_rejoin_close(struct el_rejoin *rejoin);

// Member i is out; returns in how many ns it is tried. Any thread, also before `join` has returned that let
// it in.
uint64_t el_rejoin_out(struct el_rejoin *rejoin, int i);

struct el_rejoin_state {
    bool out;
    uint64_t rejoins;  // since open
    uint64_t tries;    // probes since it is out
    uint64_t next_ns;  // of el_now_ns: when it is tried next
    char problem[192]; // why the last try failed; "" where none did
};
void el_rejoin_state(struct el_rejoin *rejoin, int i, struct el_rejoin_state *ret_state); // any thread

#endif
