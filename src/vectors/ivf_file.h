// SPDX-License-Identifier: Apache-2.0
// The file of inverted lists as it lies on the disk, for what makes it and what searches it: a page of facts,
// then parts, each at a multiple of EL_CACHE_LINE, little-endian. The parts up to the lists' entries are the
// directory, which is checked when the file is opened.
#ifndef EL_VECTORS_IVF_FILE_H
#define EL_VECTORS_IVF_FILE_H

#include <stdbool.h>

#include "base/file.h"
#include "ops/ops.h"
#include "ops/reach.h"
#include "vectors/ivf.h"
#include "vectors/quantise.h"

enum {
    EL_IVF_CURVES = 2,
    EL_IVF_FEW_K = 10
}; // of recall: of the EL_IVF_FEW_K and of the EL_IVF_MOST_K nearest

struct el_ivf_list {
    int64_t first_panel, rows; // rows fill panels; behind the last, numbers are -1 and offsets infinite
    struct el_code_spread spread;
    double longest; // of its rows and its centroid, each less the origin
};

// X(name, type, count): the parts in their order.
#define EL_IVF_PARTS(X)                        \
    X(origin, float, dim)                      \
    X(centroids, float, lists *dim)            \
    X(curves, float, EL_IVF_CURVES *lists)     \
    X(entries, struct el_ivf_list, lists)      \
    X(numbers, int64_t, panels *EL_REACH_ROWS) \
    X(scales, float, panels *EL_REACH_ROWS)    \
    X(offsets, float, panels *EL_REACH_ROWS)   \
    X(codes, uint8_t, panels *units *EL_REACH_ROWS *EL_REACH_UNIT)

// Where each part begins, from the file's beginning.
struct el_ivf_layout {
#define X(name, type, count) uint64_t name;
    EL_IVF_PARTS(X)
#undef X
    uint64_t end;
};
// false when it would not fit any file.
bool el_ivf_layout(int64_t dim, int64_t lists, int64_t panels, struct el_ivf_layout *ret_layout);

// An open file, or one that is made.
struct el_ivf {
    struct el_ivf_facts facts;
    int64_t panels, units;
    // Origin [dim]; centroids [lists][dim], less the origin; curves [EL_IVF_CURVES][lists]: the share found
    // in so many lists and one more; a list of rows each; of each row its number, scale and offset; their
    // codes. By squared distance a row's offset is (|row|^2 - |centroid|^2) / 2, less the origin, else 0.
#define X(name, type, count) type *name;
    EL_IVF_PARTS(X)
#undef X
    struct el_map map; // all of that; read-only in an open file
    char *path;
    struct el_linear *packed; // the centroids
};

static inline uint8_t *el_ivf_panel(const struct el_ivf *ivf, int64_t panel) {
    return ivf->codes + panel * ivf->units * EL_REACH_ROWS * EL_REACH_UNIT;
}

// Points the parts into the file's bytes.
void el_ivf_place(struct el_ivf *ivf, const struct el_ivf_layout *layout, uint8_t *bytes);
// Makes `packed`. EL_ENOMEM.
int el_ivf_pack(struct el_ivf *ivf);
// The score of each list for each query, less the origin: the product with its centroid, by squared distance
// less half of the centroid's square. EL_ENOMEM.
int el_ivf_rate_lists(const struct el_ivf *ivf, const float *queries, int64_t count, struct el_team *team,
                      float *ret_scores /* [count][lists] */);

// Writes the page of facts, when the parts are there. `path` is for messages. EL_EIO, EL_ENOMEM.
int el_ivf_write_head(int fd, const char *path, const struct el_ivf *ivf);

#endif
