# SPDX-License-Identifier: Apache-2.0
"""A served index keeps its vectors on a GPU: the answers are those of the processor, while vectors are added, and when
the GPU is lost in the middle, for good or to come back."""
import random
import unittest

from harness import HttpTest

DIM, FIRST, LATER = 8, 2500, 40


def vectors(count, seed, size=1):
    draw = random.Random(seed)
    return [[draw.uniform(-size, size) for _ in range(DIM)] for _ in range(count)]


class IndexOnDevices(HttpTest):
    def fill(self, server):
        """An index whose answers to some questions are told before and after some vectors more."""
        def add(prefix, rows):
            body = {"documents": [{"id": f"{prefix}{i}", "vector": row} for i, row in enumerate(rows)]}
            self.assertEqual(server.ask("POST", "/v1/indexes/v/documents", body).status, 200)

        def answers():
            asked = [server.ask("POST", "/v1/indexes/v/query", {"vector": vector, "k": 5}) for vector in vectors(12, 3)]
            return [[(hit["id"], hit["score"]) for hit in answer.json()["results"]] for answer in asked]

        self.assertEqual(server.ask("POST", "/v1/indexes", {"name": "v", "dim": DIM, "metric": "ip"}).status, 201)
        for part in range(0, FIRST, 500):
            add(f"{part}+", vectors(500, part))
        before = answers()
        add("later", vectors(LATER, 5, size=2))
        return before, answers(), answers()

    def test_answers_are_the_processors(self):
        expected = self.fill(self.start("--device", "cpu"))
        self.assertNotEqual(expected[0], expected[1])
        for machine, flags in (("rtx4090-lost", []), ("rtx4090-off-the-bus", []), ("none", ["--index-bytes"])):
            with self.subTest(machine=machine):
                server = self.start(*flags, machine=machine)
                self.assertEqual(self.fill(server), expected)
                log = server.read_log()
                self.assertEqual("vectors of an index are kept on cuda:0" in log, machine != "none", log)
                lost = "vectors of an index are searched by the processor, not on cuda:0" in log
                self.assertEqual(lost, machine != "none", log)


if __name__ == "__main__":
    unittest.main()
