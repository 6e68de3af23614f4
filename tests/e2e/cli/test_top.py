# SPDX-License-Identifier: Apache-2.0
"""top: lines, JSON and the screen, on machines that are not there, with and without a server."""
import json
import os
import pty
import select
import signal
import subprocess
import time
import unittest

from harness import BINARY, BUILD, SANITIZER, TIMEOUT, WITH_MACHINE, ModelTest

FAKES = os.path.join(BUILD, "tests", "fake", "lib", "libnvidia-ml.so.1")
NOWHERE = ["--url", "http://127.0.0.1:1"]


class Top(ModelTest):
    def serve(self, *args, on=()):
        process = subprocess.Popen([*on, BINARY, "serve", "--port", "0", "--model", self.model, *args],
                                   env={**self.env, "EL_BUILD": BUILD}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        return process.stdout.readline().decode().strip()

    def looks(self, *args):
        return [json.loads(line) for line in self.expect(0, "top", "--json", *args).splitlines()]

    def test_an_object_per_look(self):
        first, second = self.looks("--count", "2", "--interval", "0.2", *NOWHERE)
        self.assertNotIn("busy_pct", first["processor"])  # a share of the time since the look before
        self.assertGreaterEqual(second["processor"]["busy_pct"], 0)
        self.assertGreater(first["processor"]["memory_total"], first["processor"]["memory_used"])
        self.assertFalse(first["server"]["answers"])
        self.assertIn("127.0.0.1", first["server"]["problem"])

    def test_a_server_and_its_models(self):
        url = self.serve()
        first, second = self.looks("--count", "2", "--interval", "0.2", "--url", url)
        model = second["server"]["models"][0]
        self.assertTrue(second["server"]["answers"])
        self.assertEqual(model["name"], os.path.basename(self.model))
        self.assertGreater(model["weight_bytes"], 0)
        self.assertEqual((model["queue_inputs"], model["tokens_per_s"]), (0, 0))
        self.assertTrue(model["device"])
        self.assertEqual(second["server"]["alerts"], [])
        self.assertNotIn("tokens_per_s", first["server"]["models"][0])
        lines = self.expect(0, "top", "--count", "1", "--url", url).decode()
        self.assertIn("0 texts wait with 0 tokens", lines)

    @unittest.skipUnless(os.path.exists(FAKES) and SANITIZER != "thread", "this build has no machines")
    def test_a_server_that_raises_an_alert(self):
        url = self.serve("--alert-temperature-c", "30", on=[WITH_MACHINE, "rtx4090"])
        alerts = self.looks("--count", "1", "--url", url)[0]["server"]["alerts"]
        self.assertEqual(alerts, [{"device": "cuda:0", "kind": "temperature"}])
        self.assertIn("alert: temperature of cuda:0", self.expect(0, "top", "--count", "1", "--url", url).decode())

    def test_a_server_that_wants_a_key(self):
        url = self.serve("--api-key", "secret")
        self.assertIn("401", self.looks("--count", "1", "--url", url)[0]["server"]["problem"])
        found = self.expect(0, "top", "--json", "--count", "1", "--url", url, env={"ELEANOR_API_KEY": "secret"})
        self.assertTrue(json.loads(found)["server"]["answers"])

    def test_wrong_usage(self):
        self.expect(2, "top", "--interval", "0", says="--interval")
        self.expect(2, "top", "--count", "x", says="--count")

    def test_an_interrupt_ends_it(self):
        process = subprocess.Popen([BINARY, "top", "--interval", "60", *NOWHERE], env=self.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertIn(b"processors", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 0, error)

    @unittest.skipUnless(os.path.exists(FAKES), "this build has no machines")
    def test_gpus(self):
        command = [WITH_MACHINE, "8xa100-nvlink", BINARY, "top", "--count", "1", *NOWHERE]
        env = {**self.env, "EL_BUILD": BUILD}
        text = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=TIMEOUT, text=True, env=env).stdout
        self.assertIn("gpu 7 NVIDIA A100-SXM4-80GB", text)
        found = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, check=True, timeout=TIMEOUT, env=env)
        gpus = json.loads(found.stdout)["gpus"]
        self.assertEqual([gpu["index"] for gpu in gpus], list(range(8)))
        self.assertGreater(gpus[0]["reading"]["temperature"], 0)


class Screen(ModelTest):
    """On a terminal."""

    def screen(self, *args, keys=b"", term="xterm"):
        """What top draws until it ends; `keys` are typed after its first drawing."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.clear()
            os.environ.update({**self.env, "TERM": term, "LINES": "40", "COLUMNS": "120"})
            os.execv(BINARY, [BINARY, "top", *args])
        drawn, until = b"", time.monotonic() + TIMEOUT
        while time.monotonic() < until:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    got = os.read(terminal, 65536)
                except OSError:
                    break  # it has ended
                drawn += got
                if not got:
                    break
            elif drawn and keys:
                os.write(terminal, keys)
                keys = b""
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), drawn.decode(errors="replace")

    def test_it_draws_until_q(self):
        code, drawn = self.screen("--interval", "60", *NOWHERE, keys=b"q")
        self.assertEqual(code, 0)
        for part in ["eleanor top", "Processors", "memory", "does not answer", "\x1b["]:
            self.assertIn(part, drawn)

    @unittest.skipIf(SANITIZER == "address", "ncurses keeps memory for a terminal that it does not know")
    def test_an_unknown_terminal_gets_lines(self):
        code, drawn = self.screen("--count", "1", *NOWHERE, term="no-such-terminal")
        self.assertEqual(code, 0)
        self.assertIn("processors, ", drawn)


if __name__ == "__main__":
    unittest.main()
