# SPDX-License-Identifier: Apache-2.0
"""What the tests of the HTTP server share: a server on a free port with a model of a few kilobytes, and ways to talk to
it."""
import base64
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from common import SKIPPED, need_venv, real_model  # noqa: F401 (for its users too)

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BINARY = os.environ.get("HTTP_BINARY", os.path.join(ROOT, "build", "eleanor"))
TINY_MODEL = os.environ.get("HTTP_TINY_MODEL", os.path.join(os.path.dirname(BINARY), "make_tiny_model"))
WITH_MACHINE = os.path.join(ROOT, "tests", "with-machine")
SANITIZER = os.environ.get("HTTP_SANITIZER", "")
TIMEOUT = 120  # seconds


def environment():
    """The caller's, without what would change the settings."""
    return {key: value for key, value in os.environ.items() if not key.startswith("ELEANOR_")}


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


class Server:
    """`eleanor serve` on a free port of 127.0.0.1; `flags` are added to its command line. `machine` is one of
    tests/machines, or the path of such a file."""

    def __init__(self, model, *flags, wait=True, machine=None):
        self.log = tempfile.TemporaryFile()
        self.home = tempfile.TemporaryDirectory(prefix="eleanor-home-")  # indexes are below it
        on = [WITH_MACHINE, machine] if machine else []
        command = [*on, BINARY, "serve", "--port", "0", "--model", model, "--log-level", "debug", *flags]
        env = {**environment(), "EL_BUILD": os.path.dirname(BINARY), "ELEANOR_HOME": self.home.name,
               "ELEANOR_BATCH_TUNING": "no"}  # it would compute beside what is tested
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=self.log)
        self.tls = "--tls-cert" in flags
        self.open = []  # what close() closes
        self.url, self.port = "", 0
        if wait:
            self.url = self.process.stdout.readline().decode().strip()
            if not self.url:
                raise AssertionError("the server did not start:\n" + self.read_log())
            self.port = int(self.url.rsplit(":", 1)[1])

    def read_log(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def connect(self, timeout=TIMEOUT):
        """A connection to ask() on; it is closed with the server."""
        if self.tls:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout,
                                                     context=ssl._create_unverified_context())
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        self.open.append(connection)
        return connection

    def ask(self, method, path, body=None, headers=None, connection=None):
        """The answer to one request, on a connection of its own when none is given."""
        used = connection or self.connect()
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        headers = {"Content-Type": "application/json", **(headers or {})} if body is not None else headers or {}
        used.request(method, path, body, headers)
        answer = Answer(used.getresponse())
        if not connection:
            used.close()
        return answer

    def embed(self, **body):
        """The answer to POST /v1/embeddings with this body."""
        return self.ask("POST", "/v1/embeddings", body)

    def socket(self, timeout=TIMEOUT):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def metrics(self):
        """Every sample of /metrics by its name with labels."""
        samples = {}
        for line in self.ask("GET", "/metrics").body.decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                samples[name] = float(value)
        return samples

    def stop(self, number=signal.SIGTERM):
        """Ends it and returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=TIMEOUT)

    def close(self):
        for connection in self.open:
            connection.close()
        if self.process.poll() is None:
            self.stop()
        self.process.stdout.close()
        self.log.close()
        self.home.cleanup()


class HttpTest(unittest.TestCase):
    """`flags` of the class start one server for all of its tests; start() starts one for a single test."""

    flags = ()

    @classmethod
    def setUpClass(cls):
        made = subprocess.run([TINY_MODEL], stdout=subprocess.PIPE, check=True, timeout=TIMEOUT, text=True)
        cls.model = made.stdout.strip()
        cls.addClassCleanup(shutil.rmtree, cls.model)
        cls.name = os.path.basename(cls.model.rstrip("/"))
        if cls.flags is not None:
            cls.server = Server(cls.model, *cls.flags)
            cls.addClassCleanup(cls.end, cls.server)

    @staticmethod
    def end(server):
        code = server.process.poll()
        if code is None:
            code = server.stop()
        log = server.read_log()
        server.close()
        if code != 0 or "Sanitizer" in log:
            raise AssertionError(f"the server ended with {code}:\n{log}")

    def start(self, *flags, wait=True, machine=None):
        server = Server(self.model, *flags, wait=wait, machine=machine)
        self.addCleanup(server.close)
        return server

    def folder(self):
        path = tempfile.mkdtemp(prefix="eleanor-http-")
        self.addCleanup(shutil.rmtree, path)
        return path

    def expect_error(self, answer, status, code, param=None):
        """The answer is OpenAI's envelope with these; returns its message."""
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(set(answer.json()), {"error"})
        error = answer.json()["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        self.assertEqual((error["code"], error["param"]), (code, param), error)
        self.assertTrue(error["message"])
        self.assertIn(error["type"], ("invalid_request_error", "rate_limit_error", "server_error"))
        return error["message"]


def floats(text):
    """The numbers of a base64 embedding."""
    data = base64.b64decode(text, validate=True)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def in_threads(count, function):
    """function(0) to function(count - 1) at the same time; their results in order."""
    results = [None] * count

    def run(index):
        try:
            results[index] = function(index)
        except Exception as error:  # handed to the caller
            results[index] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
