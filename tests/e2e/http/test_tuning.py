# SPDX-License-Identifier: Apache-2.0
"""A server without requests finds its batch and remembers it; not where it is told to leave that alone."""
import json
import os
import time
import unittest

from harness import TIMEOUT, HttpTest


class Tuning(HttpTest):
    flags = None

    def wait_for(self, server, text):
        until = time.monotonic() + TIMEOUT
        while text not in server.read_log():
            self.assertLess(time.monotonic(), until, server.read_log())
            time.sleep(0.1)

    def test_it_is_done_once_unless_it_is_not_wanted(self):
        kept = [self.start("--batch-tuning=no"),
                self.start("--batch-tuning", "--batch-tokens", "96")]
        server = self.start("--batch-tuning")
        self.wait_for(server, "tokens are the fastest")
        line = [line for line in server.read_log().splitlines() if "tokens are the fastest" in line][0]
        self.assertRegex(line, r"batches of \d+ tokens are the fastest, \d+ texts/s; those of 128 \(default\) came to \d+; "
                               r"remembered in ")
        path = os.path.join(server.home.name, "tuned.json")
        with open(path, encoding="utf-8") as file:
            row = json.load(file)["tuned"][0]
        self.assertIn(f"batches of {row['batch_tokens']} tokens are", line)
        for other in kept:
            self.assertNotIn("are the fastest", other.read_log())
            self.assertFalse(os.path.exists(os.path.join(other.home.name, "tuned.json")))


if __name__ == "__main__":
    unittest.main()
