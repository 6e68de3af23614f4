# SPDX-License-Identifier: Apache-2.0
"""Who may call, and over TLS."""
import json
import os
import shutil
import signal
import subprocess
import unittest

from harness import BINARY, TIMEOUT, HttpTest, environment

OPEN = ("/health", "/livez", "/readyz")
LOCKED = ("/v1/models", "/v1/models/x", "/metrics", "/openapi.json", "/")


class Keys(HttpTest):
    flags = None

    def setUp(self):
        self.file = os.path.join(self.folder(), "keys")
        with open(self.file, "w", encoding="utf-8") as file:
            file.write("# for tests\nfirst-key\n\nsecond-key\n")

    def test_every_route_but_health_needs_one(self):
        server = self.start("--api-key-file", self.file)
        for path in OPEN:
            self.assertEqual(server.ask("GET", path).status, 200, path)
        for path in (*LOCKED, "/nothing"):
            answer = server.ask("GET", path)
            self.expect_error(answer, 401, "invalid_api_key")
            self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer")
        self.expect_error(server.embed(input="a"), 401, "invalid_api_key")

    def test_each_key_opens(self):
        server = self.start("--api-key-file", self.file, "--api-key", "third-key")
        for key in ("first-key", "second-key", "third-key"):
            self.assertEqual(server.ask("POST", "/v1/embeddings", {"input": "a"}, {"Authorization": f"Bearer {key}"}).status, 200)
        for value in ("Bearer first-ke", "Bearer first-key2", "first-key", "Basic first-key", "Bearer ", "Bearer # for tests"):
            self.expect_error(server.ask("GET", "/v1/models", headers={"Authorization": value}), 401, "invalid_api_key")

    def test_no_key_appears_in_the_log(self):
        server = self.start("--api-key-file", self.file)
        server.ask("GET", "/v1/models", headers={"Authorization": "Bearer first-key"})
        server.ask("GET", "/v1/models", headers={"Authorization": "Bearer wrong-key"})
        server.stop()
        self.assertNotIn("-key\n", server.read_log().replace("api-key", ""))

    def test_a_large_body_without_a_key_is_not_read(self):
        server = self.start("--api-key-file", self.file)
        self.expect_error(server.ask("POST", "/v1/embeddings", b"x" * 20_000_000), 401, "invalid_api_key")


@unittest.skipUnless(shutil.which("openssl"), "SKIPPED: openssl, which makes the certificate, is not here")
class Tls(HttpTest):
    flags = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        import tempfile
        cls.place = tempfile.mkdtemp(prefix="eleanor-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.place)
        cls.cert, cls.key = os.path.join(cls.place, "cert.pem"), os.path.join(cls.place, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-out", cls.cert, "-keyout", cls.key], check=True, stderr=subprocess.DEVNULL)

    def test_requests_over_tls(self):
        server = self.start("--tls-cert", self.cert, "--tls-key", self.key)
        self.assertTrue(server.url.startswith("https://127.0.0.1:"))
        connection = server.connect()
        for count in (1, 50, 2000):  # the last is a large answer
            answer = server.ask("POST", "/v1/embeddings", {"input": ["the cat"] * count}, connection=connection)
            self.assertEqual(len(answer.json()["data"]), count)
        self.assertEqual(server.stop(), 0)

    def test_plain_http_on_a_tls_port(self):
        server = self.start("--tls-cert", self.cert, "--tls-key", self.key)
        with server.socket(timeout=20) as sock:
            sock.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                self.assertNotIn(b"200", sock.recv(100))
            except ConnectionError:
                pass
        self.assertEqual(server.ask("GET", "/livez").status, 200)

    def test_a_client_that_leaves(self):
        server = self.start("--tls-cert", self.cert, "--tls-key", self.key, "--max-inputs", "100000")
        connection = server.connect()
        connection.request("POST", "/v1/embeddings", json.dumps({"input": ["the cat sat"] * 20000}))
        connection.sock.close()
        self.assertEqual(server.ask("GET", "/livez").status, 200)
        self.assertEqual(server.stop(signal.SIGTERM), 0)

    def test_files_that_are_no_certificate(self):
        for cert, key in ((self.key, self.key), (self.cert, self.cert), ("/dev/null", "/dev/null"), (self.cert, __file__)):
            ended = subprocess.run([BINARY, "serve", "--port", "0", "--model", self.model, "--tls-cert", cert, "--tls-key", key],
                                   env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT, check=False)
            self.assertEqual(ended.returncode, 1, (cert, key))
            self.assertIn("PEM", ended.stderr.decode())


if __name__ == "__main__":
    unittest.main()
