# SPDX-License-Identifier: Apache-2.0
"""`index add` that is killed, again and again: what is there is whole, and the last run completes it.

INDEX_KILLS sets how many kills (default 8)."""
import os
import random
import subprocess
import time
import unittest

from indextest import BINARY, TIMEOUT, IndexTest

FILES = 1500


class Kills(IndexTest):
    def test_killed_runs_are_completed(self):
        draw = random.Random(11)
        self.create()
        tree = self.tree(**{f"f{i}_txt": f"the text number {i}" for i in range(FILES)})
        seen = 0
        for _ in range(int(os.environ.get("INDEX_KILLS", "8"))):
            with subprocess.Popen([BINARY, "index", "add", "docs", tree], env=self.env, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as process:
                time.sleep(draw.uniform(0.02, 0.4))
                process.kill()
                process.wait(TIMEOUT)
            self.index("verify", "docs")
            stats = self.stats()
            self.assertEqual(stats["documents"], stats["chunks"])
            self.assertGreaterEqual(stats["documents"], seen)  # what was there stays
            seen = stats["documents"]
            self.assertEqual(len(set(self.found("text", "-k", "10000"))), seen)
        added, changed, unchanged, _ = self.add(tree)
        self.assertEqual((added + unchanged, changed, unchanged), (FILES, 0, seen))
        self.assertEqual(len(set(self.found("text", "-k", "10000"))), FILES)
        self.assertEqual(self.stats()["documents"], FILES)


if __name__ == "__main__":
    unittest.main()
