# SPDX-License-Identifier: Apache-2.0
"""Vectors that were made elsewhere: every metric's order, many queries, replacing."""
import json
import os
import random
import subprocess
import unittest

from indextest import BINARY, TIMEOUT, WITH_MACHINE, IndexTest, npy


def score(metric, a, b):
    product = sum(x * y for x, y in zip(a, b))
    if metric == "ip":
        return product
    if metric == "l2":
        return -sum((x - y) ** 2 for x, y in zip(a, b))
    return product / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5


class Vectors(IndexTest):
    def test_each_metric_gives_the_order_of_its_definition(self):
        draw = random.Random(5)
        rows = [[float(draw.randint(-9, 9)) for _ in range(7)] for _ in range(300)]
        queries = [[float(draw.randint(-9, 9)) + 0.5 for _ in range(7)] for _ in range(5)]
        rows_path, queries_path = self.path("rows.npy", npy(rows)), self.path("q.npy", npy(queries))
        for metric in ("ip", "cosine", "l2"):
            self.index("create", metric, "--dim", "7", "--metric", metric)
            self.assertEqual(self.json("add", metric, "--vectors", rows_path)["vectors"], 300)
            lines = self.index("query", metric, "--vectors", queries_path, "-k", "20", "--json").splitlines()
            self.assertEqual(len(lines), 5)
            for query, line in zip(queries, lines):
                expected = sorted((score(metric, query, row) for row in rows), reverse=True)[:20]
                results = json.loads(line)["results"]
                for result, value in zip(results, expected, strict=True):
                    self.assertAlmostEqual(result["score"], value, places=3)
                    row = rows[int(result["id"].rsplit(":", 1)[1])]
                    self.assertAlmostEqual(score(metric, query, row), value, places=3)

    def test_inverted_lists(self):
        draw = random.Random(6)
        centres = [[draw.uniform(-1, 1) for _ in range(8)] for _ in range(100)]
        rows = [[x + draw.gauss(0, 0.1) for x in draw.choice(centres)] for _ in range(10100)]
        path, queries = self.path("rows.npy", npy(rows)), self.path("q.npy", npy(rows[:50]))

        def ask(*args):
            lines = self.index("query", "v", "--vectors", queries, "-k", "5", "--json", *args).splitlines()
            return [json.loads(line) for line in lines]

        self.index("create", "v", "--dim", "8", "--metric", "l2", "--kind", "ivf", "--recall", "0.8")
        self.index("add", "v", "--vectors", path)
        self.index("compact", "v")
        stats = self.stats("v")
        self.assertEqual((stats["kind"], stats["listed"]), ("ivf", 10100 // 64 * 64))
        own, high, every = ask(), ask("--recall", "0.99"), ask("--recall", "1")
        self.assertGreaterEqual(own[0]["stats"]["recall"], 0.8)
        self.assertLess(own[0]["stats"]["probes"], high[0]["stats"]["probes"])
        self.assertEqual(every[0]["stats"]["probes"], stats["lists"])
        self.index("create", "flat", "--dim", "8", "--metric", "l2")
        self.index("add", "flat", "--vectors", path)
        lines = self.index("query", "flat", "--vectors", queries, "-k", "5", "--json").splitlines()
        truth = [json.loads(line)["results"] for line in lines]
        self.assertEqual([answer["results"] for answer in every], truth)
        found = sum(hit in answer["results"] for answer, hits in zip(high, truth) for hit in hits)
        self.assertGreater(found, 0.95 * 250)

    def test_copies_give_the_same_answers(self):
        draw = random.Random(7)
        matrix = [[draw.uniform(-1, 1) for _ in range(8)] for _ in range(2200)]
        self.index("create", "v", "--dim", "8")
        self.index("add", "v", "--vectors", self.path("v.npy", npy(matrix)))
        ask = ["query", "v", "--vectors", self.path("q.npy", npy(matrix[:5]))]
        plain = self.index(*ask)
        self.assertEqual(self.index(*ask, "--index-bytes"), plain)
        self.assertEqual(self.index(*ask, "--device", "cpu"), plain)
        on_gpu = subprocess.run([WITH_MACHINE, "rtx4090", BINARY, "index", *ask, "--device", "cuda:0", "--log-level", "debug"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT, check=True, text=True,
                                env={**self.env, "EL_BUILD": os.path.dirname(BINARY)})
        self.assertEqual(on_gpu.stdout, plain)
        self.assertIn("2176 vectors of an index are kept on cuda:0", on_gpu.stderr)

    def test_the_same_file_again_replaces(self):
        self.index("create", "v", "--dim", "2")
        path = self.path("v.npy", npy([[1, 0], [0, 1]]))
        self.index("add", "v", "--vectors", path)
        self.assertEqual(self.json("add", "v", "--vectors", path)["added"], 0)
        self.path("v.npy", npy([[0, 1], [1, 0], [1, 1]]))
        self.assertEqual(self.json("add", "v", "--vectors", path)["added"], 3)
        self.assertEqual((self.stats("v")["documents"], self.stats("v")["dead"]), (3, 2))
        query = self.path("q.npy", npy([[1, 0]]))
        self.assertTrue(self.json("query", "v", "--vectors", query)["results"][0]["id"].endswith("v.npy:1"))


if __name__ == "__main__":
    unittest.main()
