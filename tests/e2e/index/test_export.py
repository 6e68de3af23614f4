# SPDX-License-Identifier: Apache-2.0
"""What `index export` writes, `index add --vectors --lines` takes back: documents, texts, metadata and the bits of
vectors; and what is wrong with such files is named."""
import json
import os
import unittest

from indextest import IndexTest, npy


class Export(IndexTest):
    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def test_a_round_trip_changes_nothing(self):
        tree = self.tree(a_txt='quotes " and \\ and\ttabs, ä, \u2028\n\nanother paragraph', b_txt="b", empty_txt="",
                         long_txt="\n\n".join(f"paragraph {i} of many words " * 9 for i in range(40)))
        self.create()
        self.add(tree)
        os.remove(os.path.join(tree, "b.txt"))
        self.add(tree, "--update")  # leaves dead rows, which are no part of what is written
        first, second = self.path("first"), self.path("second")
        written = self.json("export", "docs", "-o", first)
        stats = self.stats()
        self.assertEqual((written["documents"], written["vectors"]), (stats["documents"], stats["chunks"]))
        self.create("copy")
        files = ["--vectors", first + ".npy", "--lines", first + ".jsonl"]
        self.assertEqual(self.json("add", "copy", *files)["added"], 3)
        self.assertEqual(self.json("add", "copy", *files), {"index": "copy", "added": 0, "unchanged": 3})
        self.index("export", "copy", "-o", second)
        for end in (".npy", ".jsonl"):
            self.assertEqual(self.read("first" + end), self.read("second" + end))
        for question in ("paragraph 7", "quotes"):
            self.assertEqual(*[self.json("query", name, question, "-k", "100")["results"] for name in ("docs", "copy")])

    def test_lines_of_others(self):
        lines = [{"id": "x", "texts": ["one", None], "metadata": {"year": 2020, "tags": ["a"]}}, {"id": "none", "texts": []},
                 {"id": "y", "texts": [None], "metadata": None}]
        vectors = self.path("v.npy", npy([[1, 0], [0, 1], [1, 1]]))
        path = self.path("v.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        for name, shares in (("one", ["0/1"]), ("many", ["0/2", "1/2"])):
            self.index("create", name, "--dim", "2", "--metric", "ip")
            for share in shares:
                self.index("add", name, "--vectors", vectors, "--lines", path, "--shard", share)
        self.assertEqual(self.json("merge", "many")["added"], 3)
        query = self.path("q.npy", npy([[1, 0.5]]))
        for name in ("one", "many"):
            self.assertEqual((self.stats(name)["documents"], self.stats(name)["chunks"]), (3, 3))
            results = self.json("query", name, "--vectors", query)["results"]
            self.assertEqual([(hit["id"], hit["part"]) for hit in results], [("y", 0), ("x", 0), ("x", 1)])
            self.assertEqual((results[1]["text"], results[1]["metadata"]), ("one", {"year": 2020, "tags": ["a"]}))

    def test_refusals(self):
        vectors = self.path("v.npy", npy([[1, 0], [0, 1]]))
        self.index("create", "v", "--dim", "2")
        cases = [('{"id": "x", "texts": [null]}\n', "v.npy has 2 rows"), ('{"id": "x", "texts": [null, null, null]}\n', "as many vectors"),
                 ("{\n", "line 1"), ('{"texts": []}\n', 'a text "id"'), ('{"id": 3, "texts": []}\n', 'a text "id"'),
                 ('{"id": "", "texts": [null, null]}\n', "id has from 1"), ('{"id": "x"}\n', 'a list "texts"'),
                 ('{"id": "x", "texts": [null, 7]}\n', "neither a text nor null"), ('{"id": "a\\u0000b", "texts": []}\n', "no NUL"),
                 ('{"id": "x", "texts": []}\n[]\n', ":2: a text")]
        for lines, says in cases:
            path = self.path("v.jsonl", lines)
            self.index("add", "v", "--vectors", vectors, "--lines", path, code=1, says=says)
        self.assertEqual(self.stats("v")["documents"], 0)
        self.index("add", "v", self.tree(a_txt="a"), "--lines", self.path("v.jsonl"), code=2, says="--lines")
        self.index("export", "none", code=1, says="no index is called")
        self.index("export", "v", "-o", self.path("no/folder"), code=1, says="no/folder.jsonl")
        self.assertFalse(os.path.exists(self.path("no")))


if __name__ == "__main__":
    unittest.main()
