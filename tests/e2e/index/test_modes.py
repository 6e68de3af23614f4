# SPDX-License-Identifier: Apache-2.0
"""Searching by words and by both, and filters by metadata, from outside."""
import json
import os
import unittest

from indextest import IndexTest, npy

FRUIT = [{"id": "far", "texts": ["plum plum"], "metadata": {"color": "blue", "n": 1}},
         {"id": "near", "texts": ["pear"], "metadata": {"color": "green", "n": 2}},
         {"id": "second", "texts": ["plum and other words"], "metadata": {"color": "red", "n": 3}}]
ROWS = [[1.0, 0.0], [9.0, 0.0], [8.0, 0.0]]


class Modes(IndexTest):
    def add_fruit(self):
        lines = self.path("lines.jsonl", "".join(json.dumps(document) + "\n" for document in FRUIT))
        self.index("add", "fruit", "--vectors", self.path("rows.npy", npy(ROWS)), "--lines", lines)

    def test_words_need_no_model(self):
        self.create()
        self.add(self.tree(a_txt="the plum tree", b_txt="a pear"))
        os.rename(self.model, self.model + ".gone")
        self.addCleanup(os.rename, self.model + ".gone", self.model)
        self.assertEqual(self.found("Plum?", "--mode", "text"), ["a.txt"])
        self.index("query", "docs", "Plum?", "--mode", "hybrid", code=1, says=os.path.basename(self.model))

    def test_both(self):
        self.create()
        self.add(self.tree(a_txt="the plum tree", b_txt="a pear", c_txt="plum"))
        answer = self.json("query", "docs", "plum", "--mode", "hybrid")
        self.assertEqual(os.path.basename(answer["results"][0]["id"]), "c.txt")  # the first in both lists
        self.assertEqual(len(answer["results"]), 3)
        self.assertAlmostEqual(answer["results"][0]["score"], 2 / 61, places=6)
        self.assertEqual((answer["stats"]["mode"], answer["stats"]["rows"]), ("hybrid", 3))

    def test_filters(self):
        self.index("create", "fruit", "--dim", "2")
        self.add_fruit()
        for filter_, ids in (('{"color":"red"}', ["second"]), ('{"n":{"$lt":3}}', ["far"]), ('{"n":{"$gt":3}}', []),
                             ('{"$or":[{"n":1},{"color":{"$in":["red","pink"]}}]}', ["far", "second"])):
            self.assertEqual(self.found("plum", "--mode", "text", "--filter", filter_, name="fruit"), ids)

    def test_deleting_by_filter(self):
        self.index("create", "fruit", "--dim", "2")
        self.add_fruit()
        for filter_, says in (("{}", "an empty filter passes every document"), ("", "can't be read"), ('{"n":{"$gtt":1}}', '"$gtt"')):
            self.index("delete", "fruit", "--filter", filter_, code=1, says=says)
        self.index("delete", "fruit", "--filter", '{"n":1}', "--document", "far", code=2, says="either --document or --filter")
        before = self.stats("fruit")["documents"]
        self.assertEqual(self.json("delete", "fruit", "--filter", '{"n":{"$gt":3}}'), {"name": "fruit", "removed": 0})
        self.assertEqual(self.json("delete", "fruit", "--filter", '{"color":"red"}'), {"name": "fruit", "removed": 1})
        self.assertEqual(self.stats("fruit")["documents"], before - 1)
        self.assertEqual(self.found("plum", "--mode", "text", name="fruit"), ["far"])

    def test_refusals(self):
        self.index("create", "fruit", "--dim", "2")
        self.index("add", "fruit", "--vectors", self.path("rows.npy", npy(ROWS)))
        self.index("query", "fruit", "plum", "--mode", "text", code=1, says=["keeps no texts"])
        self.index("query", "fruit", "plum", "--mode", "hybrid", code=1, says=["has no model", "--mode text"])
        self.index("query", "fruit", "plum", "--mode", "words", code=2, says=['"words" is no mode', "hybrid"])
        self.index("query", "fruit", "--vectors", self.path("rows.npy"), "--mode", "text", code=2, says="--mode text takes a question")
        for filter_, says in (("{", "can't be read"), ('{"a":{"$gtt":1}}', '"a" has the operator "$gtt"'), ("[]", "takes a JSON object")):
            self.index("query", "fruit", "plum", "--mode", "text", "--filter", filter_, code=1, says=says)


if __name__ == "__main__":
    unittest.main()
