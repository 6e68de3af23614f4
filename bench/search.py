#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-search: exact search beside faiss-cpu (IndexFlatIP) and torch (matmul, topk), taking turns.

    search.py BENCH_SEARCH [--rows N] [--dim D] [--k K] [--batch B ...] [--rounds N] [--out FILE] [--note TEXT]

Rows and queries are random unit vectors. All use every core and hold the rows in memory. Torch multiplies blocks of
rows, so that its scores stay small, and merges their lists. The limits are measured in the same run: the bandwidth
at which our threads only read the rows, and the rate of matrix products, ours on rows that stay in the cache and
oneDNN's (through bench_matmul, where it stands beside). A batch of one is bound by the first, large ones by the second.
Ours runs three ways, whose lists are the same: as it chooses, which for large batches is by bytes that it makes of each
block of rows ("eleanor"); by floats alone ("eleanor, fp32"); and with the rows kept as bytes beside them ("eleanor, kept
bytes"). What a way multiplies in bytes is counted as if it were floats where it is set against a rate. The lists of all
are compared: where they differ, the scores in fp64 say whether it is a tie within rounding. The last line is one JSON
object; --out joins it with what the file has of other batches, so that several short runs make one file.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np

CORES = len(os.sched_getaffinity(0))
TORCH_SCORES = 1 << 26  # of a block of rows, so that they take 256 MiB


class Ours:
    """bench_search, kept open and told what to do line by line."""

    def __init__(self, *command):
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def seconds(self, batch, k):
        return self.ask(f"search {batch} {k}")["seconds"]

    def rows(self, batch, k):
        return np.array(self.ask(f"rows {batch} {k}")["rows"]).reshape(batch, k)

    def memory(self):
        """Bytes in memory, the rows that are mapped included."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.split("VmRSS:")[1].split()[0])


class OursAnotherWay:
    """The same program, told which way."""

    def __init__(self, ours, way):
        self.ours, self.way = ours, way

    def seconds(self, batch, k):
        return self.ours.ask(f"{self.way} search {batch} {k}")["seconds"]

    def rows(self, batch, k):
        return np.array(self.ours.ask(f"{self.way} rows {batch} {k}")["rows"]).reshape(batch, k)


class Peer:
    """One that is called here: self.search(batch, k) gives rows."""

    def seconds(self, batch, k):
        began = time.perf_counter()
        self.search(batch, k)
        return time.perf_counter() - began

    def rows(self, batch, k):
        return np.asarray(self.search(batch, k))


class Faiss(Peer):
    def __init__(self, rows, queries):
        import faiss

        faiss.omp_set_num_threads(CORES)
        self.name, self.queries, self.index = f"faiss {faiss.__version__}", queries, faiss.IndexFlatIP(rows.shape[1])
        self.index.add(rows)

    def search(self, batch, k):
        return self.index.search(self.queries[:batch], k)[1]


class Torch(Peer):
    def __init__(self, rows, queries):
        import torch

        torch.set_num_threads(CORES)
        self.name, self.torch = f"torch {torch.__version__}", torch
        self.table, self.queries = torch.from_numpy(rows), torch.from_numpy(queries)

    def search(self, batch, k):
        values, places = [], []
        with self.torch.inference_mode():
            step = TORCH_SCORES // batch
            for first in range(0, len(self.table), step):
                part = self.queries[:batch] @ self.table[first : first + step].T
                value, place = part.topk(min(k, part.shape[1]))
                values.append(value)
                places.append(place + first)
            best = self.torch.cat(values, 1).topk(k)
            return self.torch.cat(places, 1).gather(1, best.indices).numpy()


def unit_vectors(generator, count, dim):
    values = generator.standard_normal((count, dim), dtype=np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return values


def disagreements(ours, theirs, rows, queries):
    """Queries whose lists differ, and the largest gap in fp64 between the scores at a place where they do."""
    differing, gap = 0, 0.0
    for query, (mine, other) in enumerate(zip(ours, theirs)):
        if np.array_equal(mine, other):
            continue
        differing += 1
        scores = [rows[found].astype(np.float64) @ queries[query].astype(np.float64) for found in (mine, other)]
        gap = max(gap, float(np.abs(scores[0] - scores[1]).max()))
    return differing, gap


def onednn_rate(program):
    """GFLOP/s of oneDNN's fp32 products on all cores; None where bench_matmul or oneDNN is missing."""
    matmul = pathlib.Path(program).with_name("bench_matmul")
    if not matmul.exists():
        return None
    lines = subprocess.run([matmul, "--limit"], stdout=subprocess.PIPE, text=True).stdout.strip().splitlines()
    return json.loads(lines[-1]).get("onednn_gflops") or None if lines else None


def measure(runners, arguments):
    """Seconds by batch and runner, and what the machine did meanwhile."""
    seconds = {batch: {name: [] for name in runners} for batch in arguments.batch}
    limits = {batch: {"read_gb_per_s": [], "product_gflops": []} for batch in arguments.batch}
    for batch in arguments.batch:
        for _ in range(arguments.rounds * (5 if batch <= 16 else 1)):  # short ones need more to meet a quiet moment
            limits[batch]["read_gb_per_s"].append(runners["eleanor"].ask("read")["gb_per_s"])
            limits[batch]["product_gflops"].append(runners["eleanor"].ask("product")["gflops"])
            for name, runner in runners.items():
                seconds[batch][name].append(runner.seconds(batch, arguments.k))
    return seconds, limits


OURS = ("eleanor", "eleanor, fp32", "eleanor, kept bytes")


def set_against(name, taken, limits, onednn, work):
    """One of our ways against the peers and against what the machine can do, by the best round and the median one."""
    gigabytes, gigaflops = work
    rates = {"read": (gigabytes, "read_gb_per_s"), "product": (gigaflops, "product_gflops")}
    ours = {}
    for key, pick, most in (("best", min, max), ("median", statistics.median, statistics.median)):
        seconds = pick(taken[name])
        ours[f"times_{key}"] = {peer: pick(values) / seconds for peer, values in taken.items() if peer != name}
        for rate, (amount, limit) in rates.items():
            ours[f"share_of_{rate}_{key}"] = amount / seconds / most(limits[limit])
        if onednn:
            ours[f"share_of_onednn_{key}"] = gigaflops / seconds / onednn
    return ours


def row_of(batch, taken, limits, onednn, arguments):
    """One batch's figures."""
    elements = arguments.rows * arguments.dim
    row = {"batch": batch, "seconds_best": {name: min(values) for name, values in taken.items()},
           "seconds_median": {name: statistics.median(values) for name, values in taken.items()},
           "ours": {name: set_against(name, taken, limits, onednn, (4e-9 * elements, 2e-9 * batch * elements)) for name in OURS}}
    row["limits"] = {name: {"best": max(values), "median": statistics.median(values)} for name, values in limits.items()}
    row["limits"]["onednn_gflops"] = onednn
    return row


def print_row(row):
    print(f"\nbatch {row['batch']}")
    for name, best in row["seconds_best"].items():
        print(f"  {name:20s} {best * 1e3:10.1f} ms  median {row['seconds_median'][name] * 1e3:10.1f} ms")
    for name, ours in row["ours"].items():
        print(f"  {name}: " + ", ".join(f"{ours['times_best'][peer]:.2f}x {peer} (median {ours['times_median'][peer]:.2f}x)"
                                        for peer in ours["times_best"]))
        print("    " + ", ".join(f"{ours[f'share_of_{rate}_best']:.0%} of {text} (median {ours[f'share_of_{rate}_median']:.0%})"
                                 for rate, text in (("read", "reading alone"), ("product", "our products alone"), ("onednn", "oneDNN's"))
                                 if f"share_of_{rate}_best" in ours))
    print("  limits " + json.dumps(row["limits"]))


def join(result, path):
    """Adds the batches that the file has of a run like this one, and writes all."""
    if path.exists():
        old = json.loads(path.read_text())
        if all(old[name] == result[name] for name in ("rows", "dim", "k", "cores")):
            new = [row["batch"] for row in result["batches"]]
            result["batches"] += [row for row in old["batches"] if row["batch"] not in new]
            result["batches"].sort(key=lambda row: row["batch"])
    path.write_text(json.dumps(result, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench_search")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 64, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out")
    parser.add_argument("--note", default="")
    arguments = parser.parse_args()
    generator = np.random.default_rng(20261121)
    rows = unit_vectors(generator, arguments.rows, arguments.dim)
    queries = unit_vectors(generator, max(1024, *arguments.batch), arguments.dim)
    with tempfile.TemporaryDirectory() as folder:
        rows.tofile(f"{folder}/rows")
        queries.tofile(f"{folder}/queries")
        runners = {"eleanor": Ours(arguments.bench_search, f"{folder}/rows", f"{folder}/queries", arguments.dim)}
        runners["eleanor, fp32"] = OursAnotherWay(runners["eleanor"], "floats")
        runners["eleanor, kept bytes"] = OursAnotherWay(runners["eleanor"], "bytes")
        for peer in (Faiss(rows, queries), Torch(rows, queries)):
            runners[peer.name] = peer
        result = {"bench": "search", "rows": arguments.rows, "dim": arguments.dim, "k": arguments.k, "cores": CORES, "note": arguments.note}
        batch = max(arguments.batch)
        mine = runners["eleanor"].rows(batch, arguments.k)
        result["memory_to_vectors"] = runners["eleanor"].memory() / rows.nbytes  # the vectors are 1 of it
        result["encode_seconds"] = runners["eleanor"].ask("encode")["seconds"]
        result["memory_to_vectors_with_bytes"] = runners["eleanor"].memory() / rows.nbytes
        result["lists_that_differ"] = {}
        for name, runner in runners.items():  # also warms them
            differing, gap = disagreements(mine, runner.rows(batch, arguments.k), rows, queries)
            result["lists_that_differ"][name] = {"of": batch, "differ": differing, "largest_gap_in_fp64": gap}
            print(f"{name}: {differing} of {batch} lists differ from ours, by scores at most {gap:.1e} apart")
        seconds, limits = measure(runners, arguments)
    onednn = onednn_rate(arguments.bench_search)
    result["batches"] = [row_of(batch, seconds[batch], limits[batch], onednn, arguments) for batch in arguments.batch]
    for row in result["batches"]:
        print_row(row)
    if arguments.out:
        join(result, pathlib.Path(arguments.out))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
