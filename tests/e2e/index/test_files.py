# SPDX-License-Identifier: Apache-2.0
"""Files into an index: what is new, changed, gone, skipped; and that a text is found by itself."""
import os
import unittest

from indextest import IndexTest, npy  # noqa: F401

CATS, DOGS = "the cat sat on the mat .", "a dog and the quick brown fox"


class Files(IndexTest):
    def setUp(self):
        super().setUp()
        self.create()

    def test_a_text_is_found_by_itself(self):
        tree = self.tree(cats_txt=CATS, sub__dogs_md=DOGS)
        self.assertEqual(self.add(tree), (2, 0, 0, 0))
        best, other = self.json("query", "docs", CATS)["results"]
        self.assertEqual((best["id"], best["part"], best["text"], best["metadata"]),
                         (os.path.realpath(os.path.join(tree, "cats.txt")), 0, CATS, {"kind": "text"}))
        self.assertAlmostEqual(best["score"], 1, places=4)
        self.assertLess(other["score"], 0.999)
        self.assertEqual(self.found(DOGS, "-k", "1"), ["dogs.md"])
        text = self.index("query", "docs", DOGS)
        self.assertRegex(text, r"^ 1\.0000  /.*/tree/sub/dogs\.md\n +a dog and")

    def test_a_second_run_touches_nothing(self):
        tree = self.tree(cats_txt=CATS, dogs_txt=DOGS)
        self.add(tree)
        before = {**self.stats(), "bytes": 0}
        self.assertEqual(self.add(tree, "--update"), (0, 0, 2, 0))
        self.assertEqual({**self.stats(), "bytes": 0}, before)  # there may be stamps more
        os.chdir(tree)  # and it is the same file by another way
        self.assertEqual(self.add("cats.txt", "../tree/dogs.txt", "."), (0, 0, 2, 0))

    def test_one_changed_file_touches_one(self):
        tree = self.tree(cats_txt=CATS, dogs_txt=DOGS)
        self.add(tree)
        self.tree(cats_txt="hello world")
        self.assertEqual(self.add(tree), (0, 1, 1, 0))
        self.assertEqual(self.found("hello world"), ["cats.txt", "dogs.txt"])
        self.assertEqual((self.stats()["documents"], self.stats()["dead"]), (2, 1))
        self.assertEqual(self.json("compact", "docs")["dead"], 0)
        self.assertEqual(self.found("hello world"), ["cats.txt", "dogs.txt"])
        self.index("verify", "docs")

    def test_batches_that_the_index_has_in_part(self):
        """More files than a batch has, read again since their stamps are lost, the middle ones changed."""
        files, changed, fresh = 700, range(250, 350), 20
        tree = self.tree(**{f"f{i:03}_txt": f"cat {i}" for i in range(files)})
        self.assertEqual(self.add(tree), (files, 0, 0, 0))
        os.remove(os.path.join(self.env["ELEANOR_HOME"], "indexes", "docs", "files.stamps"))
        self.tree(**{f"f{i:03}_txt": f"dog {i}" for i in changed}, **{f"g{i}_txt": f"fox {i}" for i in range(fresh)})
        would = self.json("add", "docs", tree, "--dry-run")
        self.assertEqual((would["added"], would["changed"], would["unchanged"]), (fresh, len(changed), files - len(changed)))
        self.assertEqual(self.add(tree), (fresh, len(changed), files - len(changed), 0))
        self.assertEqual((self.stats()["documents"], self.stats()["dead"]), (files + fresh, len(changed)))
        for i in (249, 250, 349, 350):
            self.assertEqual(self.found(f"{'dog' if i in changed else 'cat'} {i}", "-k", "1", "--mode", "text"), [f"f{i}.txt"])
        self.assertEqual(self.add(tree), (0, 0, files + fresh, 0))

    def test_update_removes_what_is_gone_there_and_nowhere_else(self):
        tree = self.tree(a__x_txt=CATS, a__y_txt=DOGS, ab__z_txt="hello", a__w_txt="world")
        self.add(tree)
        os.remove(os.path.join(tree, "a", "y.txt"))
        os.remove(os.path.join(tree, "ab", "z.txt"))
        self.tree(a__w_txt=b"\0now it is binary")
        self.assertEqual(self.add(os.path.join(tree, "a")), (0, 0, 1, 0))
        self.assertEqual(self.add(os.path.join(tree, "a"), "--update"), (0, 0, 1, 2))
        self.assertEqual(sorted(self.found("x")), ["x.txt", "z.txt"])
        self.assertEqual(self.add(tree, "--update"), (0, 0, 1, 1))

    def test_what_is_left_out_is_counted(self):
        tree = self.tree(a_txt=CATS, b_bin=b"\x89PNG\0\0", c_txt="caf\xe9".encode("latin-1"), d_txt="x" * 2000, _git__config="x",
                         empty_txt="", blank_txt=" \n\n ")
        os.symlink("a.txt", os.path.join(tree, "link.txt"))
        summary = self.json("add", "docs", tree, "--max-file", "1k")
        left_out = {reason: count for reason, count in summary["skipped"].items() if count}
        self.assertEqual(left_out, {"binary": 1, "too_large": 1, "hidden": 1, "links": 1})
        self.assertEqual((summary["files"], summary["added"], summary["chunks"], summary["failed"]), (6, 4, 2, []))
        self.assertEqual(summary["converted"], 1)
        self.assertIn("skipped, binary: 1", self.index("add", "docs", tree, "--max-file", "1k"))

    @unittest.skipUnless(os.geteuid(), "root reads every file")
    def test_a_file_that_cannot_be_read_is_named_and_the_rest_goes_in(self):
        tree = self.tree(a_txt=CATS, b_txt=DOGS)
        os.chmod(os.path.join(tree, "b.txt"), 0)
        summary = self.json("add", "docs", tree, code=1, says="b.txt")
        self.assertEqual((summary["added"], len(summary["failed"])), (1, 1))

    def test_a_long_file_becomes_parts(self):
        words = " ".join(f"cat dog {i}." for i in range(100))
        tree = self.tree(long_txt=f"# Cats\n\n{CATS}\n\n{words}\n")
        summary = self.json("add", "docs", tree)
        self.assertGreater(summary["chunks"], 3)
        self.assertEqual(self.stats()["chunks"], summary["chunks"])
        parts = [result["part"] for result in self.json("query", "docs", "cat dog 50.", "-k", "1000")["results"]]
        self.assertEqual(sorted(parts), list(range(summary["chunks"])))

    def test_names_that_are_no_utf8(self):
        tree = self.tree(a_txt=CATS)
        with open(os.path.join(tree.encode(), b"\xff.txt"), "w", encoding="ascii") as file:
            file.write(DOGS)
        self.assertEqual(self.add(tree), (2, 0, 0, 0))
        self.assertEqual(self.found(DOGS, "-k", "1"), ["\ufffd.txt"])


class Indexes(IndexTest):
    def test_from_creation_to_deletion(self):
        self.assertIn("there is no index", self.index("list"))
        self.assertEqual(self.json("list"), {"indexes": []})
        self.create("b", "--metric", "l2")
        made = self.json("create", "a", "--dim", "3")
        self.assertEqual(made, {"name": "a", "dim": 3, "metric": "cosine"})
        listed = self.json("list")["indexes"]
        self.assertEqual([(index["name"], index["model"], index["metric"], index["documents"]) for index in listed],
                         [("a", None, "cosine", 0), ("b", os.path.realpath(self.model), "l2", 0)])
        tree = self.tree(cats_txt=CATS)
        self.add(tree, name="b")
        path = os.path.join(os.path.realpath(tree), "cats.txt")
        self.assertEqual(self.json("delete", "b", "--document", path, "--document", "none"), {"name": "b", "removed": 1})
        self.assertEqual(self.found("x", name="b"), [])
        self.index("delete", "b")
        self.assertEqual(os.listdir(self.path("indexes")), ["a"])


if __name__ == "__main__":
    unittest.main()
