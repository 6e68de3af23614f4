# SPDX-License-Identifier: Apache-2.0
"""The real model's answers are good: nDCG@10 by vectors, words and both on a part of bench/ndcg.py's set."""
import os
import sys
import unittest

from harness import ROOT, SKIPPED, Server, real_model

sys.path.insert(0, os.path.join(ROOT, "bench"))
import ndcg

STS = os.path.join(ROOT, "..", "shared", "data", "eval", "sts-test.csv")
PAIRS = 250
AT_LEAST = {"vector": 0.92, "text": 0.74, "hybrid": 0.84}  # 0.932, 0.760 and 0.861 on 2026-11-21


class Retrieval(unittest.TestCase):
    def test_ndcg(self):
        server = Server(real_model())
        self.addCleanup(server.close)
        index = ndcg.Index(server, ndcg.sts(STS, PAIRS))
        for mode, least in AT_LEAST.items():
            with self.subTest(mode):
                good = index.ndcg(mode)
                print(f"nDCG@10 {mode} {good:.4f} ({len(index.set.questions)} questions)", file=sys.stderr)
                self.assertGreater(good, least)
                self.assertLess(good, 1)  # or nothing was looked for


if __name__ == "__main__":
    if not real_model():
        print("SKIPPED: all-MiniLM-L6-v2 is not here; ./run obtains it")
        sys.exit(SKIPPED)
    if not os.path.exists(STS):
        print(f"SKIPPED: {STS} is not here")
        sys.exit(SKIPPED)
    unittest.main()
