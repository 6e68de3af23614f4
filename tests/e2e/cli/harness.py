# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command line share: the binary, a clean environment, a tiny model, a scratch folder."""
import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BINARY = os.environ.get("CLI_BINARY", os.path.join(ROOT, "build", "eleanor"))
TINY_MODEL = os.environ.get("CLI_TINY_MODEL", os.path.join(os.path.dirname(BINARY), "make_tiny_model"))
SANITIZER = os.environ.get("CLI_SANITIZER", "")
VERBS = ["serve", "embed", "index", "doctor", "top", "bench", "pull", "import", "models", "version", "help"]
TIMEOUT = 120
BUILD = os.environ.get("CLI_BUILD", os.path.dirname(BINARY))
WITH_MACHINE = os.path.join(ROOT, "tests", "with-machine")


class CliTest(unittest.TestCase):
    """Each test gets an empty folder, which is ELEANOR_HOME too, and no variable of the caller's eleanor."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="eleanor-cli-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(("ELEANOR_", "HF_", "MBED_"))}
        self.env["ELEANOR_HOME"] = self.folder
        self.env["ELEANOR_BATCH_TUNING"] = "no"  # a server would compute beside what is tested

    def path(self, name, content=None):
        """The path of a file in the scratch folder, written when there is content."""
        path = os.path.join(self.folder, name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def run_cli(self, *args, stdin=b"", env=None, **kwargs):
        if isinstance(stdin, str):
            stdin = stdin.encode()
        kwargs.setdefault("stdout", subprocess.PIPE)
        return subprocess.run([BINARY, *args], input=stdin, stderr=subprocess.PIPE, timeout=TIMEOUT, check=False,
                              env={**self.env, **(env or {})}, **kwargs)

    def expect(self, code, *args, says=(), **kwargs):
        """Runs the binary, checks the exit code and what stderr says, and returns stdout."""
        result = self.run_cli(*args, **kwargs)
        error = result.stderr.decode(errors="replace")
        self.assertEqual(result.returncode, code, error)
        for part in [says] if isinstance(says, str) else says:
            self.assertIn(part, error)
        if code:
            self.assertNotIn("Sanitizer", error)
        return result.stdout


class ModelTest(CliTest):
    """With a model of a few kilobytes, made once per class."""

    @classmethod
    def setUpClass(cls):
        cls.model = subprocess.run([TINY_MODEL], stdout=subprocess.PIPE, check=True, timeout=TIMEOUT,
                                   text=True).stdout.strip()
        cls.addClassCleanup(shutil.rmtree, cls.model)
