# SPDX-License-Identifier: Apache-2.0
"""The rows of a NumPy file as one query, and its answers as NumPy arrays, against NumPy itself."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import need_venv  # noqa: E402

need_venv("numpy")
import numpy  # noqa: E402

from indextest import IndexTest  # noqa: E402

ROWS, QUESTIONS, DIMENSIONS, K = 2000, 700, 16, 50  # 700 x 50 results: more than one piece


class Many(IndexTest):
    def setUp(self):
        super().setUp()
        draw = numpy.random.default_rng(11)
        self.rows = draw.standard_normal((ROWS, DIMENSIONS), dtype=numpy.float32)
        self.questions = draw.standard_normal((QUESTIONS, DIMENSIONS), dtype=numpy.float32)
        self.rows_path, self.questions_path = self.path("rows.npy"), self.path("q.npy")
        numpy.save(self.rows_path, self.rows)
        numpy.save(self.questions_path, self.questions)

    def make(self, name, metric="ip", *, rows=None):
        self.index("create", name, "--dim", str(DIMENSIONS), "--metric", metric)
        self.index("add", name, "--vectors", rows or self.rows_path)

    def arrays(self, name, *args, **kwargs):
        ids, scores = self.path("ids.npy"), self.path("scores.npy")
        self.index("query", name, "--vectors", self.questions_path, "--format", "npy", "-o", ids, "--scores", scores, *args, **kwargs)
        return numpy.load(ids), numpy.load(scores)

    def truth(self, metric):
        rows, questions = self.rows.astype(numpy.float64), self.questions.astype(numpy.float64)
        if metric == "l2":
            return -((questions[:, None, :] - rows[None, :, :]) ** 2).sum(axis=2)
        if metric == "cosine":
            rows = rows / numpy.linalg.norm(rows, axis=1, keepdims=True)
            questions = questions / numpy.linalg.norm(questions, axis=1, keepdims=True)
        return questions @ rows.T

    def test_arrays_are_those_of_numpy(self):
        for metric in ("ip", "cosine", "l2"):
            self.make(metric, metric)
            ids, scores = self.arrays(metric, "-k", str(K))
            self.assertEqual((ids.dtype, ids.shape), (numpy.int64, (QUESTIONS, K)))
            self.assertEqual((scores.dtype, scores.shape), (numpy.float32, (QUESTIONS, K)))
            truth = self.truth(metric)
            numpy.testing.assert_array_equal(ids, numpy.argsort(-truth, axis=1, kind="stable")[:, :K])
            numpy.testing.assert_allclose(scores, numpy.take_along_axis(truth, ids, axis=1), rtol=1e-6, atol=1e-6)

    def test_json_has_the_same_lists(self):
        self.make("v")
        ids, scores = self.arrays("v")
        lines = [json.loads(line) for line in self.index("query", "v", "--vectors", self.questions_path, "--json").splitlines()]
        self.assertEqual(len(lines), QUESTIONS)
        for line, id_row, score_row in zip(lines, ids, scores):
            self.assertEqual([int(hit["id"].rsplit(":", 1)[1]) for hit in line["results"]], list(id_row))
            self.assertEqual([numpy.float32(hit["score"]) for hit in line["results"]], list(score_row))
            self.assertEqual((line["stats"]["asked"], line["stats"]["rows"]), (QUESTIONS, ROWS))

    def test_fewer_than_k(self):
        numpy.save(self.path("few.npy"), self.rows[:3])
        self.make("few", rows=self.path("few.npy"))
        ids, scores = self.arrays("few", "-k", "5")
        self.assertEqual({frozenset(row) for row in ids[:, :3]}, {frozenset(range(3))})
        self.assertTrue((ids[:, 3:] == -1).all() and numpy.isneginf(scores[:, 3:]).all() and numpy.isfinite(scores[:, :3]).all())
        self.index("create", "none", "--dim", str(DIMENSIONS))
        self.assertTrue((self.arrays("none", "-k", "2")[0] == -1).all())

    def test_ids_that_are_numbers_of_their_own(self):
        ids = [int(n) for n in numpy.random.default_rng(1).permutation(ROWS) + 10 ** 12]
        self.path("lines.jsonl", "".join(json.dumps({"id": str(n), "texts": [None]}) + "\n" for n in ids))
        self.index("create", "own", "--dim", str(DIMENSIONS), "--metric", "ip")
        self.index("add", "own", "--vectors", self.rows_path, "--lines", self.path("lines.jsonl"))
        expected = numpy.array(ids)[numpy.argsort(-self.truth("ip"), axis=1, kind="stable")[:, :10]]
        numpy.testing.assert_array_equal(self.arrays("own")[0], expected)

    def test_ids_that_are_none(self):
        for n, (first, second) in enumerate((("a", "b"), ("1", "07"), ("x:1", "y:2"), ("1", "9" * 30))):
            name = f"n{n}"
            numpy.save(self.path("two.npy"), self.rows[:2])
            self.path("two.jsonl", "".join(json.dumps({"id": one, "texts": [None]}) + "\n" for one in (first, second)))
            self.index("create", name, "--dim", str(DIMENSIONS))
            self.index("add", name, "--vectors", self.path("two.npy"), "--lines", self.path("two.jsonl"))
            out = self.path("none.npy")
            self.index("query", name, "--vectors", self.questions_path, "--format", "npy", "-o", out, code=1, says=["--format npy", "take --json"])
            self.assertFalse(os.path.exists(out))

    def test_usage(self):
        self.index("query", "v", "--vectors", "q.npy", "--format", "csv", code=2, says=["csv", "text|json|npy"])
        for flag in ("-o", "--scores"):
            self.index("query", "v", "--vectors", "q.npy", "--json", flag, "x.npy", code=2, says="--format npy")

    def test_a_row_that_cannot_be(self):
        self.make("v", "cosine")
        self.questions[5] = 0
        numpy.save(self.questions_path, self.questions)
        ids = self.path("ids.npy")
        self.index("query", "v", "--vectors", self.questions_path, "--format", "npy", "-o", ids, code=1,
                   says=["q.npy from row 0 on", "vector 5", "all zeros"])
        self.assertFalse(os.path.exists(ids))


if __name__ == "__main__":
    unittest.main()
