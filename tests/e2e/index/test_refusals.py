# SPDX-License-Identifier: Apache-2.0
"""What is wrong is named, with what to do; and nothing is left half-done."""
import fcntl
import math
import os
import resource
import unittest

from indextest import DIM, IndexTest, npy


class Refusals(IndexTest):
    def test_names(self):
        for name in ("../x", "a/b", ".", "..", ".x", "a.b", "", "x" * 101, "é", "-"):
            self.index("create", "--dim", "3", "--", name, code=1, says=["is no name of an index", "letters, digits"])
            self.index("stats", "--", name, code=1, says="is no name of an index")
        self.assertFalse(os.path.exists(self.path("indexes")))

    def test_indexes_that_are_not_there_or_are_already(self):
        for action in (["stats"], ["query", "?"], ["add", "/etc/hostname"], ["delete"], ["compact"], ["verify"]):
            self.index(action[0], "none", *action[1:], code=1, says=['no index is called "none"', "eleanor index create none"])
        self.create()
        self.index("create", "docs", "--dim", "3", code=1, says=["index docs", "there already"])

    def test_usage(self):
        self.index("creat", "x", code=2, says=["can't be done", "did you mean create"])
        self.index("create", code=2, says="needs the NAME")
        self.index("add", "docs", code=2, says="files and folders, or --vectors")
        self.index("query", "docs", code=2, says="a question, or --vectors")
        self.index("query", "docs", "a", "b", code=2, says='"b" is too much')
        self.index("query", "docs", "a", "-k", "0", code=2, says="--top")
        self.index("create", "x", "--dim", "0", code=2, says="--dim")
        self.index("create", "x", "--dim", "3", "--model", self.model, code=1, says=["--dim 3", f"{DIM} dimensions"])
        self.index("create", "x", "--model", "/nowhere", code=1, says="/nowhere")

    def test_vectors(self):
        self.index("create", "v", "--dim", "3")
        good = [[1.0, 2.0, 3.0]] * 2
        cases = [(npy([[1.0, 2.0]]), ["2 dimensions", "index v has 3"]),
                 (npy(good + [[1, math.nan, 0]]), ["x.npy:2: vector 0", "not finite"]),
                 (npy(good + [[1, math.inf, 0]]), ["x.npy:2: vector 0", "not finite"]),
                 (npy(good + [[0, 0, 0]]), ["x.npy:2: vector 0", "all zeros"]),
                 (npy(good, kind="<f8"), ["'<f8'", "astype('float32')"]),
                 (npy(good, order="True"), ["Fortran", "ascontiguousarray"]),
                 (npy(good, shape="(6,)"), ["(6,)", "not a matrix"]),
                 (npy(good, shape="(-1, 3)"), ["not a matrix"]),
                 (npy(good, shape="(9223372036854775807, 3)"), ["is cut"]),
                 (npy(good)[:-1], ["is cut"]), (npy(good)[:50], ["is cut within its header"]),
                 (b"hello", ["no NumPy file"]), (b"", ["no NumPy file"])]
        for content, says in cases:
            self.index("add", "v", "--vectors", self.path("x.npy", content), code=1, says=says)
            self.assertEqual(self.stats("v")["documents"], 0)
        self.index("query", "v", "--vectors", self.path("q.npy", npy([[math.nan, 0, 0]])), code=1, says=["row 0", "not finite"])
        self.index("query", "v", "a text", code=1, says=["index v has no model", "--vectors"])
        self.index("add", "v", "/etc/hostname", code=1, says=["index v has no model", "--vectors"])

    def test_a_path_that_is_not_there(self):
        self.create()
        self.index("add", "docs", self.path("none"), code=1, says=["none", "No such file"])

    def test_one_writes_at_a_time(self):
        self.create()
        folder = os.open(self.path("indexes/docs"), os.O_RDONLY)
        self.addCleanup(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_EX)
        tree = self.tree(a_txt="a")
        for action in (["add", "docs", tree], ["compact", "docs"], ["delete", "docs"]):
            self.index(*action, code=1, says=["index docs", "is being written by another", "try again"])
        self.assertEqual(self.found("a"), [])  # reading goes on

    def test_damage(self):
        self.create()
        self.add(self.tree(a_txt="a", b_txt="b"))
        path = self.path("indexes/docs/vectors.1")
        with open(path, "r+b") as file:
            file.seek(4096 + 10)
            byte = file.read(1)
            file.seek(4096 + 10)
            file.write(bytes([byte[0] ^ 1]))
        for action in (["query", "docs", "a"], ["verify", "docs"], ["compact", "docs"]):
            self.index(*action, code=1, says=["vectors.1 is damaged between byte 4096 and", "rows 0 to 1"])
        self.create("other")
        self.assertEqual([index["name"] for index in self.json("list", says="damaged")["indexes"]], ["other"])
        os.truncate(path, 4100)
        self.index("query", "docs", "a", code=1, says=["vectors.1", "ends at byte 4100"])
        self.path("indexes/docs/documents.db", "hello")
        self.index("query", "docs", "a", code=1, says=["documents.db", "not a database"])

    def test_a_disk_that_is_full(self):
        self.create()
        tree = self.tree(**{f"f{i}_txt": f"text {i} " * 20 for i in range(60)})
        for limit in (3000, 5000, 20000):
            def tighten():
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            self.index("add", "docs", tree, code=1, says="index", preexec_fn=tighten)
            self.assertEqual(self.stats()["documents"], 0)
            self.index("verify", "docs")
        self.assertEqual(self.add(tree), (60, 0, 0, 0))
        self.index("verify", "docs")


if __name__ == "__main__":
    unittest.main()
