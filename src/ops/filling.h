// SPDX-License-Identifier: Apache-2.0
// What stands behind the operation table, private to src/ops: a filling (one instruction set's functions) and
// its products (one per precision: the shape of the register tile and the code that fills it).
#ifndef EL_OPS_FILLING_H
#define EL_OPS_FILLING_H

#include <stdint.h>

#include "ops/ops.h"

// Instruction sets beyond the architecture's baseline.
enum {
    EL_CPU_AVX2 = 1 << 0,        // AVX2 and FMA
    EL_CPU_AVX512 = 1 << 1,      // AVX-512 F, BW, DQ, VL
    EL_CPU_AVX512_BF16 = 1 << 2, // vdpbf16ps
    EL_CPU_AVX512_VNNI = 1 << 3, // vpdpbusd
};

// A tile of a product: `rows` rows of activations times one panel of weights, and what is fused behind it.
struct el_tile {
    int rows;                  // 1 .. product->rows
    int columns;               // 1 .. product->columns: those that exist
    int64_t depth;             // units of a row of activations
    int terms;                 // the panel is that many times as deep: int8 weights in one or two terms
    const void *activations;   // [rows][stride]
    int64_t activation_stride; // units
    const void *panel;         // [terms][depth][product->columns] units
    const float *bias;         // [product->columns]
    enum el_act act;
    const float *residual; // [rows][out_stride], or NULL; may be out
    float *out;            // [rows][out_stride]
    int64_t out_stride;    // elements
    const char *ahead;     // bytes that the next panel's tiles will read: fetched into L2 meanwhile
    int64_t ahead_bytes;   // of them, per unit of the panel's depth
};

// One way to compute products. Each element's sum runs over the depth in one order, in one accumulator,
// whatever the tile's height: that is what makes rows independent of their neighbours. Depth is counted in
// units of 4 bytes, which hold one float, two bf16 or four int8.
struct el_product {
    unsigned needs; // EL_CPU_*
    int rows;       // tallest tile
    int columns;    // width of every panel
    void (*tile)(const struct el_tile *tile);
    // One row of activations, floats [depth], as the units that `tile` reads. NULL: the floats themselves.
    void (*encode)(const float *row, int64_t depth, void *ret_units);
    int most_columns; // that it is good for; 0: any number
};

// One row of el_byte_rows.
struct el_byte_row {
    float scale, square, error;
};
// Writes `depth` bytes, or none where the scale is NAN.
typedef void el_encode_byte_row_fn(const float *row, int64_t depth, uint8_t *ret_bytes,
                                   struct el_byte_row *ret_row);
// The error of a row from the sum of squares of what its bytes leave over, and its largest magnitude; allows
// for that sum, and what is summed, having been computed in floats.
float el_byte_row_error(double rest, float largest, int64_t depth);

enum { EL_FILLING_REACHES = 2 };

struct el_reach;
struct el_filling {
    struct el_ops ops; // first, so that an el_ops of the table is its el_filling
    unsigned needs;    // EL_CPU_*
    const struct el_product *products[EL_PRECISION_COUNT]; // by precision; NULL: none, or a device
    const struct el_product *const *byte_products;         // the first that fits is taken; ends with NULL
    el_encode_byte_row_fn *encode_byte_row;                // NULL: plain C
    const struct el_reach *reaches[EL_FILLING_REACHES];    // reach.h, best first; NULL: plain C
};

// W and b on a device: [out][in] in the precision's store type, or bytes and a scale per EL_INT8_BLOCK of
// them.
struct el_gpu_linear {
    struct el_buffer weights, bias, scales;
};

// y = act(x W^T + b). On a device there is `gpu`. On the processor W is cut into panels of product->columns
// rows, each stored depth-first, so that a tile reads its panel from front to back.
struct el_linear {
    enum el_precision precision;
    int64_t depth;   // in
    int64_t columns; // out
    size_t bytes;
    struct el_gpu_linear gpu;
    const struct el_product *product;
    int terms;            // of the weights: el_encode_weights
    int64_t units;        // of an encoded row of activations
    int64_t weight_units; // of a row of weights: terms x units
    int64_t panels;       // of product->columns columns; the last is padded with zeros
    bool streams;         // el_linear_expect_stream
    void *weights;        // [panels][weight_units][product->columns] units
    float *bias;          // [panels][product->columns]; zeros where the model has none
};

bool el_cpu_has(unsigned needs); // EL_CPU_*

extern const struct el_product el_product_avx512_bf16, el_product_avx512_vnni, el_product_avx512_bytes,
    el_product_avx512_few_bytes;
extern const struct el_reach el_reach_avx512_vnni, el_reach_avx2;
extern const struct el_filling el_filling_ref, el_filling_sse2, el_filling_avx2, el_filling_avx512,
    el_filling_neon, el_filling_gpu;

// How a device stores hidden states and weights in each precision.
enum el_store el_gpu_store(enum el_precision precision);
enum el_dtype el_gpu_dtype(enum el_precision precision);

// Fills linear->gpu; what it has taken when it fails, el_gpu_linear_close gives back.
int el_gpu_linear_open(struct el_device *device, const struct el_tensor *weight, const struct el_tensor *bias,
                       struct el_linear *linear);
void el_gpu_linear_close(struct el_linear *linear);

// Operations that are the same in every filling: either not worth vectors or driven by el_product.
int el_linear_tiled(struct el_exec *exec, const struct el_tensor *in, const struct el_linear *weights,
                    enum el_act act, const struct el_tensor *residual, struct el_tensor *out);
int el_pool_plain(struct el_exec *exec, const struct el_tensor *in, const struct el_seqs *seqs,
                  enum el_pool kind, struct el_tensor *out);
int el_l2_normalize_plain(struct el_exec *exec, struct el_tensor *inout);
int el_top_k_plain(struct el_exec *exec, const struct el_tensor *scores, struct el_tensor *values,
                   struct el_tensor *places);
int el_top_products_plain(struct el_exec *exec, const struct el_tensor *in, const struct el_linear *weights,
                          struct el_tensor *values, struct el_tensor *places);

// Splits rows 0 .. count - 1 over the team in runs of at least `least` rows: fn(context, first, end).
typedef void el_rows_fn(const void *context, int64_t first, int64_t end);
void el_rows_run(struct el_exec *exec, int64_t count, int64_t least, el_rows_fn *fn, const void *context);

#endif
