#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make gpu-check's bench: our products, attention and exact search beside torch's (cuBLASLt, SDPA, matmul and topk) on
the same GPU, taking turns. A search goes from queries to lists in the processor's memory; ours are held to those that the
processor finds.

    gpu.py BENCH_GPU DEVICE [--torch cuda:0] [--out FILE] [--note TEXT]

Each figure is the rate of the best and of the median round. The limit of products is torch's best on a product of
8192^3 in that precision, that of copies what both measure on the device. The last line is one JSON object.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import time

PRODUCTS = [  # rows, depth, columns: MiniLM's and a large encoder's, few rows and many
    (16, 384, 1152), (512, 384, 1152), (8192, 384, 1152), (8192, 384, 1536), (8192, 1536, 384),
    (8192, 1024, 4096), (8192, 4096, 1024), (4096, 4096, 4096),
]
ATTENTIONS = [(512, 16, 12, 32), (64, 128, 12, 32), (32, 256, 12, 32), (16, 512, 16, 64), (8, 512, 16, 128)]
SEARCHES = [(1_000_000, 384, batch, 10) for batch in (1, 8, 64, 1024)]  # rows, dim, queries, k
PRECISIONS = ["fp32", "tf32", "fp16", "bf16"]
COPY_BYTES = 256 << 20


class Ours:
    def __init__(self, program, device):
        self.process = subprocess.Popen([program, device], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.facts = json.loads(self.process.stdout.readline())

    def ask(self, command, answers=1):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        lines = [json.loads(self.process.stdout.readline())]
        while len(lines) < answers and "error" not in lines[0]:
            lines.append(json.loads(self.process.stdout.readline()))
        return lines


class Torch:
    def __init__(self, device):
        import torch

        self.torch, self.device = torch, torch.device(device)

    def tensor(self, precision, *shape):
        dtype = {"fp16": self.torch.float16, "bf16": self.torch.bfloat16}.get(precision, self.torch.float32)
        self.torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        return self.torch.randn(*shape, device=self.device, dtype=dtype)

    def sync(self):
        if self.device.type == "cuda":
            self.torch.cuda.synchronize()

    def measure(self, call, rounds=15, round_seconds=0.02):
        def seconds(calls):
            began = time.perf_counter()
            for _ in range(calls):
                call()
            self.sync()
            return (time.perf_counter() - began) / calls

        seconds(1)
        calls = int(min(max(round_seconds / seconds(1), 1), 10000))
        taken = sorted(seconds(calls) for _ in range(rounds))
        return {"best": taken[0], "median": statistics.median(taken)}

    def linear(self, precision, rows, depth, columns):
        x, w = self.tensor(precision, rows, depth), self.tensor(precision, columns, depth)
        bias = self.tensor(precision, columns)
        return self.measure(lambda: self.torch.nn.functional.linear(x, w, bias))

    def attention(self, precision, count, length, heads, size):
        q, k, v = (self.tensor(precision, count, heads, length, size) for _ in range(3))
        return self.measure(lambda: self.torch.nn.functional.scaled_dot_product_attention(q, k, v))

    def search(self, precision, rows, dim, batch, k):
        """From queries in the processor's memory to lists there, as ours."""
        if getattr(self, "rows", None) is None or self.rows.shape != (rows, dim):
            self.rows = self.tensor(precision, rows, dim)
        queries = self.torch.randn(batch, dim)

        def call():
            values, places = (queries.to(self.device) @ self.rows.T).topk(k)
            return values.cpu(), places.cpu()

        return self.measure(call)


def compare(ours, torch, what, precision, shape, flops, rows):
    mine = ours.ask(f"{what} {precision} " + " ".join(map(str, shape)))[0]
    if "error" in mine:
        print(f"{what:10s}{precision:6s}{str(shape):24s} {mine['error']}")
        return
    peer = getattr(torch, what)(precision, *shape)
    row = {"what": what, "precision": precision, "shape": shape,
           "ours_gflops": flops / mine["best"] * 1e-9, "ours_median": flops / mine["median"] * 1e-9,
           "torch_gflops": flops / peer["best"] * 1e-9, "torch_median": flops / peer["median"] * 1e-9}
    row["ratio"] = row["ours_gflops"] / row["torch_gflops"]
    row["ratio_median"] = row["ours_median"] / row["torch_median"]
    rows.append(row)
    print(f"{what:10s}{precision:6s}{str(shape):24s} ours {row['ours_gflops']:10.0f} GFLOP/s   torch {row['torch_gflops']:10.0f}"
          f"   {row['ratio']:.2f}x (median {row['ratio_median']:.2f}x)", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("device")
    parser.add_argument("--torch", default="cuda:0")
    parser.add_argument("--out")
    parser.add_argument("--note", default="")
    parser.add_argument("--quick", action="store_true", help="small shapes alone, to try the bench itself")
    args = parser.parse_args()
    ours, torch, rows = Ours(args.program, args.device), Torch(args.torch), []
    print(f"# {ours.facts}")
    result = {"bench": "gpu", "note": args.note, **ours.facts, "rows": rows, "limits": {}}
    limit = (128,) * 3 if args.quick else (8192,) * 3
    for precision in PRECISIONS:
        result["limits"][precision] = 2 * limit[0] ** 3 / torch.linear(precision, *limit)["best"] * 1e-9
    size = 1 << 20 if args.quick else COPY_BYTES
    copies = ours.ask(f"copy {size}", 3)
    result["copy_gb_s"] = {name: size / line["best"] * 1e-9 for name, line in zip(("up", "down", "device"), copies)}
    print(f"# limits in GFLOP/s {result['limits']}, copies in GB/s {result['copy_gb_s']}")
    for precision in PRECISIONS:
        for rows_, depth, columns in PRODUCTS[:1] if args.quick else PRODUCTS:
            compare(ours, torch, "linear", precision, (rows_, depth, columns), 2 * rows_ * depth * columns, rows)
        for count, length, heads, size in [(2, 16, 2, 32)] if args.quick else ATTENTIONS:
            compare(ours, torch, "attention", precision, (count, length, heads, size), 4 * count * length * length * heads * size, rows)
    for shape in [(5000, 32, batch, 10) for batch in (1, 9)] if args.quick else SEARCHES:
        compare(ours, torch, "search", "fp32", shape, 2 * shape[0] * shape[1] * shape[2], rows)
        if rows and rows[-1]["what"] == "search":
            rows[-1]["rows_gb_s"] = rows[-1]["ours_gflops"] / shape[2] * 2  # rows read in that time, once
    if args.out:
        pathlib.Path(args.out).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
