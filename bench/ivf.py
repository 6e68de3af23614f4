#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-ivf: inverted lists beside those of faiss-cpu, taking turns, each at the recall that is asked for.

    ivf.py BENCH_IVF [--vectors FILE.f32 --what TEXT] [--rows N] [--queries N] [--lists N] [--recall R] [--k K]
           [--rounds N] [--out FILE] [--note TEXT]

Vectors are the floats of a file (eleanor embed -f f32), of length 1, the last of them held out as queries; or, without
one, a mixture of Gaussians, whose clusters are far clearer than those of texts. All use every core, the same number of
lists and inner products. Each searches the fewest lists that give it the recall on these very queries: the share of the
K rows of exact search that it finds. Faiss holds fp32 rows (IVFFlat), bytes (IVFScalarQuantizer) and 4-bit products with
exact re-ranking (IVFPQFastScan in IndexRefineFlat); ours bytes, with exact re-ranking from the fp32 rows. Queries/s are
those of all queries at once and of one at a time. The last line is one JSON object.
"""
import argparse
import json
import pathlib
import statistics
import tempfile
import time

import numpy as np
from search import CORES, Ours


class Lists(Ours):
    """bench_ivf, kept open and told what to do line by line."""

    name = "eleanor int8, exact re-rank"

    def __init__(self, program, folder, dim, k):
        super().__init__(program, f"{folder}/rows", f"{folder}/queries", str(dim), f"{folder}/lists")
        self.k, self.probes = k, 1

    def build(self, lists):
        answer = self.ask(f"build {lists}")
        return answer["seconds"], answer["bytes"]

    def rows(self, probes):
        return np.array(self.ask(f"rows {self.k} {probes}")["rows"]).reshape(-1, self.k)

    def exact(self):
        return np.array(self.ask(f"exact {self.k}")["rows"]).reshape(-1, self.k)

    def seconds(self, batch, _queries):
        return self.ask(f"search {batch} {self.k} {self.probes}")["seconds"]


class Faiss:
    """One of faiss's indexes of inverted lists, in this process."""

    def __init__(self, faiss, kind, rows, queries, k):
        faiss.omp_set_num_threads(CORES)
        self.faiss, self.kind, self.vectors, self.queries, self.k, self.probes = faiss, kind, rows, queries, k, 1
        self.name, self.index = f"faiss {faiss.__version__} {kind}", None

    def make(self, lists):
        faiss, dim = self.faiss, self.vectors.shape[1]
        quantizer, metric = faiss.IndexFlatIP(dim), faiss.METRIC_INNER_PRODUCT
        if self.kind == "flat":
            index = faiss.IndexIVFFlat(quantizer, dim, lists, metric)
        elif self.kind == "sq8":
            index = faiss.IndexIVFScalarQuantizer(quantizer, dim, lists, faiss.ScalarQuantizer.QT_8bit, metric)
        else:
            index = faiss.IndexIVFPQFastScan(quantizer, dim, lists, dim // 4, 4, metric)
        self.lists = index
        self.keep = quantizer  # the index borrows it
        return faiss.IndexRefineFlat(index) if self.kind == "pq4 refined" else index

    def build(self, lists):
        index = self.make(lists)
        began = time.perf_counter()
        index.train(self.vectors)
        index.add(self.vectors)
        seconds = time.perf_counter() - began
        self.index = index
        if self.kind == "pq4 refined":
            index.k_factor = 10
        return seconds, len(self.faiss.serialize_index(self.lists))

    def set_probes(self, probes):
        self.lists.nprobe = probes

    def rows(self, probes):
        self.set_probes(probes)
        return self.index.search(self.queries, self.k)[1]

    def seconds(self, batch, queries):
        self.set_probes(self.probes)
        began = time.perf_counter()
        for first in range(0, queries, batch):
            self.index.search(self.queries[first : first + batch], self.k)
        return time.perf_counter() - began


def recall_of(found, truth):
    return sum(len(np.intersect1d(mine, true)) for mine, true in zip(found, truth)) / truth.size


def tune(runner, truth, lists, wanted, guess):
    """The fewest lists that reach the recall, within 2 %, by steps from a guess; and that recall."""
    recalls = {}

    def reaches(probes):
        recalls[probes] = recall_of(runner.rows(probes), truth)
        return recalls[probes] >= wanted

    step, probes = max(1, guess // 50), guess
    while not reaches(probes) and probes < lists:
        probes = min(probes + step, lists)
    while probes > step and probes - step not in recalls and reaches(probes - step):
        probes -= step
    runner.probes = probes
    return {"probes": probes, "recall": recalls[probes]}


def mixture(rows, dim):
    """Vectors of length 1 around as many centres as the root of their number, of Zipf's sizes."""
    generator = np.random.default_rng(1)
    centres = generator.standard_normal((int(rows**0.5), dim), dtype=np.float32)
    weights = 1 / np.arange(1, len(centres) + 1)
    which = generator.choice(len(centres), rows, p=weights / weights.sum())
    values = centres[which] + generator.standard_normal((rows, dim), dtype=np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def read_vectors(arguments):
    if not arguments.vectors:
        return mixture(arguments.rows + arguments.queries, arguments.dim)
    values = np.fromfile(arguments.vectors, dtype=np.float32).reshape(-1, arguments.dim)
    if len(values) < arguments.rows + arguments.queries:
        raise SystemExit(f"{arguments.vectors} holds {len(values)} vectors")
    return values[: arguments.rows + arguments.queries]


def measure(runners, arguments):
    """Queries/s of each by turns: all queries at once, and the first few one at a time."""
    some = min(arguments.queries, 500)
    rates = {name: {"batch": [], "single": []} for name in runners}
    for _ in range(arguments.rounds):
        for name, runner in runners.items():
            rates[name]["batch"].append(arguments.queries / runner.seconds(arguments.queries, arguments.queries))
        for name, runner in runners.items():
            if name == Lists.name:
                rates[name]["single"].append(arguments.queries / runner.seconds(1, arguments.queries))
            else:
                rates[name]["single"].append(some / runner.seconds(1, some))
    return {name: {kind: {"median": statistics.median(values), "best": max(values)} for kind, values in of.items()}
            for name, of in rates.items()}


def print_runner(name, of):
    print(f"{name:28s} build {of['build_seconds']:6.2f} s, {of['bytes'] / 1e6:6.1f} MB, probes {of['probes']:4d}, "
          f"recall {of['recall']:.4f}, {of['rates']['batch']['median']:9.0f} queries/s at once, "
          f"{of['rates']['single']['median']:7.0f} one at a time")


def compare(result):
    """Ours against the best peer, by medians; build times against the fastest and each."""
    peers = {name: of for name, of in result["runners"].items() if name != Lists.name}
    ours = result["runners"][Lists.name]
    ratios = {f"queries_{kind}": ours["rates"][kind]["median"] / max(of["rates"][kind]["median"] for of in peers.values())
              for kind in ("batch", "single")}
    ratios["build"] = {name: ours["build_seconds"] / of["build_seconds"] for name, of in peers.items()}
    return ratios


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench_ivf")
    parser.add_argument("--vectors")
    parser.add_argument("--what", default="a mixture of Gaussians")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--lists", type=int, default=894)
    parser.add_argument("--recall", type=float, default=0.95)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--peers", nargs="+", default=["flat", "sq8", "pq4 refined"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out")
    parser.add_argument("--note", default="")
    return parser.parse_args()


def main():
    import faiss

    arguments = parse()
    vectors = read_vectors(arguments)
    rows, queries = vectors[: arguments.rows], vectors[arguments.rows :]
    result = {"bench": "ivf", **{key: getattr(arguments, key) for key in ("what", "rows", "queries", "dim", "lists", "recall", "k", "note")},
              "cores": CORES, "runners": {}}
    with tempfile.TemporaryDirectory() as folder:
        rows.tofile(f"{folder}/rows")
        queries.tofile(f"{folder}/queries")
        runners = {Lists.name: Lists(arguments.bench_ivf, folder, arguments.dim, arguments.k)}
        for kind in arguments.peers:
            peer = Faiss(faiss, kind, rows, queries, arguments.k)
            runners[peer.name] = peer
        ours = runners[Lists.name]
        truth = ours.exact()
        guess = 0
        for name, runner in runners.items():
            seconds, size = runner.build(arguments.lists)
            guess = guess or ours.ask(f"probes {arguments.k} {arguments.recall}")["probes"]
            tuned = tune(runner, truth, arguments.lists, arguments.recall, guess)
            result["runners"][name] = {"build_seconds": seconds, "bytes": size, **tuned}
            print(f"{name}: {result['runners'][name]}", flush=True)
        result["estimate"] = ours.ask(f"probes {arguments.k} {arguments.recall}")  # what the file says, without these queries
        result["estimate"]["found"] = recall_of(ours.rows(result["estimate"]["probes"]), truth)
        for name, rates in measure(runners, arguments).items():
            result["runners"][name]["rates"] = rates
            print_runner(name, result["runners"][name])
    result["ratios"] = compare(result)
    print(f"estimated recall {result['estimate']}")
    if arguments.out:
        pathlib.Path(arguments.out).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["ratios"]))


if __name__ == "__main__":
    main()
