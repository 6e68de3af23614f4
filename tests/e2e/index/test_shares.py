# SPDX-License-Identifier: Apache-2.0
"""Several processes add to one index, each its share, and a merge joins them: the same index as one process makes,
whoever started them and whoever was killed meanwhile."""
import json
import os
import random
import shutil
import subprocess
import time
import unittest

from indextest import BINARY, TIMEOUT, IndexTest, npy

RANKS = 4
FILES = 120


def launch(test, *args):
    """RANKS processes by mpirun, where it is installed, else with its variables set by hand."""
    if shutil.which("mpirun"):
        allow = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        command = ["mpirun", "-n", str(RANKS), "--oversubscribe", "--mca", "plm", "isolated", BINARY, *args]
        result = subprocess.run(command, env={**test.env, **allow}, capture_output=True, timeout=TIMEOUT * 2, check=False)
        test.assertEqual(result.returncode, 0, result.stderr.decode())
        return
    print("mpirun is not installed: its variables are set by hand instead")
    processes = [subprocess.Popen([BINARY, *args], env=rank_env(test, rank)) for rank in range(RANKS)]
    for process in processes:
        test.assertEqual(process.wait(TIMEOUT), 0)


def rank_env(test, rank):
    return {**test.env, "OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_SIZE": str(RANKS)}


class Shares(IndexTest):
    def many_files(self):
        """Some alike, so that scores tie."""
        return self.tree(**{f"f{i}_txt": f"the text number {i % 40}\n" * (i % 3 + 1) for i in range(FILES)})

    def expect_same(self, one, other):
        """The same documents, chunks and lists of hits, ties in their order included."""
        for key in ("documents", "chunks", "dead"):
            self.assertEqual(self.stats(one)[key], self.stats(other)[key], key)
        for question in ("text number 3", "something else", "the"):
            lists = [self.json("query", name, question, "-k", "1000")["results"] for name in (one, other)]
            self.assertEqual(*lists)
        self.index("verify", other)

    def test_a_launcher_makes_what_one_process_makes(self):
        tree = self.many_files()
        self.create("one")
        self.add(tree, name="one")
        self.create("many")
        launch(self, "index", "add", "many", tree)
        self.assertEqual(self.stats("many")["documents"], 0)  # until they are merged
        self.assertEqual(self.json("merge", "many")["added"], FILES)
        self.expect_same("one", "many")
        self.assertEqual(sorted(os.listdir(os.path.join(self.env["ELEANOR_HOME"], "indexes"))), ["many", "one"])

        # Again: nothing to do, for them and for one process; and one file more goes where it belongs.
        self.tree(new_txt="something quite new")
        launch(self, "index", "add", "many", tree)
        self.assertEqual(self.json("merge", "many")["added"], 1)
        self.assertEqual(self.add(tree, name="many"), (0, 0, FILES + 1, 0))

    def test_shares_by_hand_are_disjoint_and_complete(self):
        tree = self.many_files()
        self.create("docs")
        counts = [self.add(tree, "--shard", f"{i}/3")[0] for i in range(3)]
        self.assertEqual(sum(counts), FILES)
        self.assertTrue(all(counts))
        self.assertEqual(self.add(tree, "--shard", "1/3"), (0, 0, counts[1], 0))
        self.assertEqual(self.json("merge", "docs")["added"], FILES)

    def test_killed_ranks_that_are_started_again_lose_nothing(self):
        tree = self.many_files()
        self.create("one")
        self.add(tree, name="one")
        self.create("many")
        draw = random.Random(3)
        for rank in range(RANKS):
            command = [BINARY, "index", "add", "many", tree]
            for _ in range(2):
                with subprocess.Popen(command, env=rank_env(self, rank), stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL) as process:
                    time.sleep(draw.uniform(0.01, 0.2))
                    process.kill()
            subprocess.run(command, env=rank_env(self, rank), capture_output=True, check=True, timeout=TIMEOUT)
        with subprocess.Popen([BINARY, "index", "merge", "many"], env=self.env, stdout=subprocess.DEVNULL) as process:
            time.sleep(draw.uniform(0, 0.03))
            process.kill()
        self.run_cli("index", "merge", "many")  # nothing is left to do if the kill came late
        self.expect_same("one", "many")

    def test_rows_of_vectors(self):
        draw = random.Random(4)
        rows = [[draw.gauss(0, 1) for _ in range(6)] for _ in range(200)]
        rows[150] = rows[7] = rows[31]  # ties
        path = self.path("rows.npy", npy(rows))
        queries = self.path("q.npy", npy(rows[:40]))
        for name in ("one", "many"):
            self.index("create", name, "--dim", "6")
        self.index("add", "one", "--vectors", path)
        launch(self, "index", "add", "many", "--vectors", path)
        self.index("merge", "many")
        found = [[json.loads(line)["results"] for line in
                  self.index("query", name, "--vectors", queries, "-k", "200", "--json").splitlines()]
                 for name in ("one", "many")]
        self.assertEqual(*found)

    def test_refusals(self):
        tree = self.tree(a_txt="a", b_txt="b")
        self.create()
        self.index("add", "docs", tree, "--shard", "0/2", "--update", code=1, says="--update")
        self.assertEqual(os.listdir(os.path.join(self.env["ELEANOR_HOME"], "indexes")), ["docs"])  # and began no part
        self.index("merge", "docs", code=1, says="has no parts")
        os.makedirs(self.path("indexes/docs.parts"))
        for left in ("0-of-2.77", "0-of-2 ", "+0-of-2", "00-of-2", ".0-of-2.77", "1-of-1"):  # by killed processes and others
            self.path(f"indexes/docs.parts/{left}", "")
        self.index("merge", "docs", code=1, says="has no parts")
        self.add(tree, "--shard", "0/2")
        self.index("merge", "docs", code=1, says="rank 1 of 2 has left no part")
        self.index("add", "docs", tree, "--shard", "2/2", code=1, says="from 0 to 1")
        self.add(tree, "--shard", "1/2")
        self.index("merge", "docs")
        self.assertEqual(self.stats()["documents"], 2)
        self.add(tree, "--shard", "0/2")
        self.index("delete", "docs")  # with what waits to be merged
        self.assertEqual(os.listdir(os.path.join(self.env["ELEANOR_HOME"], "indexes")), [])


if __name__ == "__main__":
    unittest.main()
