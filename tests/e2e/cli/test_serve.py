# SPDX-License-Identifier: Apache-2.0
"""`eleanor serve` as a process: its address line, its signals, and why it does not start."""
import json
import signal
import socket
import subprocess
import unittest
import urllib.request

from harness import BINARY, TIMEOUT, ModelTest


class Serve(ModelTest):
    def start(self, *args):
        process = subprocess.Popen([BINARY, "serve", "--port", "0", "--model", self.model, *args], env=self.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        return process, process.stdout.readline().decode().strip()

    def test_the_address_stands_on_one_line_once_ready(self):
        process, address = self.start()
        self.assertRegex(address, r"^http://127\.0\.0\.1:[1-9][0-9]*$")
        with urllib.request.urlopen(address + "/readyz", timeout=TIMEOUT) as answer:
            self.assertEqual(answer.status, 200)
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=TIMEOUT)
        self.assertEqual((process.returncode, out), (0, b""), error)

    def test_an_interrupt_ends_it_as_well(self):
        process, _ = self.start()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 0, error)

    def test_the_same_bits_by_http_and_by_command_line(self):
        _, address = self.start()
        request = urllib.request.Request(address + "/v1/embeddings", headers={"Content-Type": "application/json"},
                                         data=json.dumps({"model": "x", "input": ["hello world", "fox"]}).encode())
        with urllib.request.urlopen(self.with_model(request, address), timeout=TIMEOUT) as answer:
            by_http = [item["embedding"] for item in json.load(answer)["data"]]
        lines = self.expect(0, "embed", "--model", self.model, stdin="hello world\nfox\n").splitlines()
        self.assertEqual(by_http, [json.loads(line)["embedding"] for line in lines])

    @staticmethod
    def with_model(request, address):
        """Puts the name under which the server lists its model into the request."""
        with urllib.request.urlopen(address + "/v1/models", timeout=TIMEOUT) as answer:
            name = json.load(answer)["data"][0]["id"]
        body = json.loads(request.data)
        request.data = json.dumps({**body, "model": name}).encode()
        return request

    def test_a_port_in_use_is_named(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            self.expect(1, "serve", "--port", port, "--model", self.model, says=[port, "in use"])

    def test_an_address_of_another_machine(self):
        self.expect(1, "serve", "--host", "192.0.2.1", "--port", "0", "--model", self.model, says="192.0.2.1")

    def test_a_model_that_is_not_installed(self):
        self.expect(1, "serve", "--port", "0", "--model", "no-such-model", says=["no-such-model", "eleanor pull"])

    def test_files_that_are_missing(self):
        for flags in (["--api-key-file", "/nonexistent"], ["--tls-cert", "/nonexistent", "--tls-key", "/nonexistent"]):
            self.expect(1, "serve", "--port", "0", "--model", self.model, *flags, says="/nonexistent")


if __name__ == "__main__":
    unittest.main()
