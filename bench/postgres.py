#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""postgres.py ELEANOR [--rows N] [--around "COMMAND"]: puts and queries of an index that the embedded store keeps,
beside one in PostgreSQL on the same machine, by the command line as users run it, starts of processes included. The
vectors are random ones of 32 dimensions turned into 384, with noise, so that neighbours are near as those of texts are.
Each question of a `query` is a statement of its own in PostgreSQL; the embedded store is asked all at once.
`--around` is put before each command that is timed, but for the making of HNSW. The last line is one JSON object."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e", "postgres"))
from server import Server  # noqa: E402

DIM, INNER, QUERIES, K, MORE = 384, 32, 200, 10, 1000
OPTIONS = ("-c", "shared_buffers=1GB", "-c", "maintenance_work_mem=1GB")
# Runs a command and writes how long it took: what stands around it is not counted.
STOPWATCH = """import subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[2:], check=True)
open(sys.argv[1], "w").write(str(time.perf_counter() - start))"""


class Bench:
    def __init__(self, arguments, folder):
        self.binary, self.around, self.folder = arguments.eleanor, arguments.around.split(), folder
        self.env = {**os.environ, "ELEANOR_HOME": folder}

    def save(self, name, rows):
        path = os.path.join(self.folder, name)
        np.save(path, rows.astype(np.float32))
        return path

    def run(self, *args, timed=False, around=True):
        """Seconds, and what it printed."""
        watch = os.path.join(self.folder, "seconds")
        before = [*(self.around if around else ()), sys.executable, "-c", STOPWATCH, watch] if timed else []
        result = subprocess.run([*before, self.binary, "index", *args], env=self.env, stdout=subprocess.PIPE,
                                check=True, text=True)
        if not timed:
            return 0, result.stdout
        with open(watch, encoding="ascii") as file:
            return float(file.read()), result.stdout

    def query(self, name, path):
        seconds, lines = self.run("query", name, "--vectors", path, "-k", str(K), "--json", timed=True)
        return seconds, [[hit["id"] for hit in json.loads(line)["results"]] for line in lines.splitlines()]


def recall(wanted, found):
    return sum(len(set(a) & set(b)) for a, b in zip(wanted, found)) / (len(wanted) * K)


def measure(bench, server, rows):
    draw = np.random.default_rng(1)
    turn = draw.standard_normal((INNER, DIM))

    def vectors(count):
        return draw.standard_normal((count, INNER)) @ turn + draw.standard_normal((count, DIM))

    data, queries = bench.save("data.npy", vectors(rows)), bench.save("queries.npy", vectors(QUERIES))
    more = [bench.save(f"more{i}.npy", vectors(MORE)) for i in range(2)]
    result = {"rows": rows, "dim": DIM, "k": K, "queries": QUERIES, "postgres": server.sql("SHOW server_version"),
              "options": " ".join(OPTIONS)}
    stores = {"embedded": (), "postgres": ("--store", server.url())}
    lists = {}
    for name, store in stores.items():
        bench.run("create", name, "--dim", str(DIM), *store)
        seconds, _ = bench.run("add", name, "--vectors", data, timed=True)
        result[name] = {"put_per_s": round(rows / seconds)}
        seconds, lists[name] = bench.query(name, queries)
        result[name]["query_ms"] = round(1000 * seconds / QUERIES, 2)
        result[name]["bytes"] = json.loads(bench.run("stats", name, "--json")[1])["bytes"]
    result["same_lists"] = lists["embedded"] == lists["postgres"]
    print(json.dumps(result), file=sys.stderr)  # the rest takes longest
    seconds, _ = bench.run("add", "postgres", "--vectors", more[0], timed=True)
    result["postgres"]["put_1000_per_s"] = round(MORE / seconds)
    hnsw = result["hnsw"] = {"compact_s": round(bench.run("compact", "postgres", timed=True, around=False)[0], 1)}
    seconds, found = bench.query("postgres", queries)
    _, wanted = (bench.run("add", "embedded", "--vectors", more[0]), bench.query("embedded", queries))[1]
    hnsw.update(query_ms=round(1000 * seconds / QUERIES, 2), recall=round(recall(wanted, found), 4))
    seconds, _ = bench.run("add", "postgres", "--vectors", more[1], timed=True)
    hnsw["put_1000_per_s"] = round(MORE / seconds)
    hnsw["bytes"] = json.loads(bench.run("stats", "postgres", "--json")[1])["bytes"]
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("eleanor")
    parser.add_argument("--rows", type=int, default=100000)
    parser.add_argument("--around", default="")
    arguments = parser.parse_args()
    server = Server(*OPTIONS)
    try:
        with tempfile.TemporaryDirectory() as folder:
            result = measure(Bench(arguments, folder), server, arguments.rows)
    finally:
        server.done()
    version = subprocess.run([arguments.eleanor, "version"], stdout=subprocess.PIPE, check=True, text=True).stdout
    result.update(version=version.splitlines()[0], cpus=os.cpu_count(), date=time.strftime("%Y-%m-%d"))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
