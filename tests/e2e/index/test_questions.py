# SPDX-License-Identifier: Apache-2.0
"""Questions about this repository's docs/, whose page is known: it is among the first three, by the real model."""
import os
import unittest

from indextest import ROOT, IndexTest, real_model

QUESTIONS = [
    ("How does the server check API keys and TLS certificates?", "http.md"),
    ("What is S3-FIFO and how large may the embedding cache be?", "cache.md"),
    ("How are WordPiece tokens found?", "tokenizer.md"),
    ("Which alerts does Prometheus raise about temperature?", "monitoring.md"),
    ("How do I fetch a model from the Hugging Face hub?", "store.md"),
]


@unittest.skipUnless(real_model(), "SKIPPED: all-MiniLM-L6-v2 is not here; ./run obtains it")
class Questions(IndexTest):
    def test_the_page_is_among_the_first_three(self):
        self.index("create", "docs", "--model", real_model())
        self.index("add", "docs", os.path.join(ROOT, "docs"))
        for question, page in QUESTIONS:
            with self.subTest(question):
                self.assertIn(page, self.found(question, "-k", "3"))


if __name__ == "__main__":
    unittest.main()
