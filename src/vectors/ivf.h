// SPDX-License-Identifier: Apache-2.0
// Approximate search by inverted lists (IVF; Sivic and Zisserman 2003, Jegou et al. 2011): k-means parts the
// rows into lists, and a search looks at the rows of the few lists whose centroids are nearest to its query.
// The whole loop:
//
//     el_ivf_build("i", &set, id, &options);                // some seconds per 100,000 rows
//     el_ivf_open("i", &ivf);
//     probes = el_ivf_probes(ivf, 10, 0.95, &recall);
//     el_ivf_search(ivf, &set, queries, 64, 10, probes, team, hits);
//     el_ivf_close(ivf);
//
// Rows are kept as bytes beside the floats, which stay where they are; bytes only say which rows can't be
// among the k best (quantise.h). The scores, and what they decide, are those of el_search_exact: of the lists
// that are looked at, no row is missed, and with all of them the answer is that of exact search.
#ifndef EL_VECTORS_IVF_H
#define EL_VECTORS_IVF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/device.h"
#include "vectors/exact.h"

struct el_ivf_options {
    int lists; // 0: by the number of rows
    uint64_t seed;
    struct el_team *team;     // or NULL
    struct el_device *device; // finds nearest centroids; NULL, or if it fails: the processor
};

// Writes lists of the set's rows to `path`, beside it and then in its place: the first EL_IVF_UNIT * n rows,
// so that what is behind them begins with a word of the filter. `id` says whose rows they are. Rows that the
// set does not allow are in the lists, but recall is measured without them. EL_EINVAL (too few rows), EL_EIO,
// EL_ENOMEM.
enum { EL_IVF_UNIT = 64 };
int el_ivf_build(const char *path, const struct el_vector_set *set, uint64_t id,
                 const struct el_ivf_options *options);

struct el_ivf;

// Maps the file, and checks all of it but the rows' bytes, numbers and scales; damage to those costs hits,
// and el_ivf_verify finds it. EL_ENOENT, EL_EIO, EL_EFORMAT, EL_ECHECKSUM, EL_EUNSUPPORTED, EL_ENOMEM.
int el_ivf_open(const char *path, struct el_ivf **ret_ivf);
void el_ivf_close(struct el_ivf *ivf);
int el_ivf_verify(const struct el_ivf *ivf); // EL_ECHECKSUM

struct el_ivf_facts {
    uint64_t id;
    int dim;
    enum el_metric metric;
    int64_t rows; // of the set, from its first
    int lists;
    uint64_t bytes;
};
const struct el_ivf_facts *el_ivf_facts(const struct el_ivf *ivf);

// The fewest lists that find `recall` (0 to 1) of the k nearest rows by what was measured when the lists were
// made, with rows of the set as queries, each without itself; *ret_recall is what was measured for so many.
// All of them for a recall of 1. 0 for more than EL_IVF_MOST_K, of which nothing is known.
enum { EL_IVF_MOST_K = 100 };
int el_ivf_probes(const struct el_ivf *ivf, int64_t k, double recall, double *ret_recall);

// As el_search_exact, in the lists of the `probes` centroids nearest to each query, and in all rows behind
// those that the lists hold. The set is the one that the lists were made of, or that with more rows.
// EL_EINVAL also when it can't be that set.
int el_ivf_search(const struct el_ivf *ivf, const struct el_vector_set *set, const float *queries, int count,
                  int k, int probes, struct el_team *team, struct el_hit *ret_hits /* [count][k] */);

#endif
