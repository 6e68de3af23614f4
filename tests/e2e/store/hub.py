# SPDX-License-Identifier: Apache-2.0
"""A model hub on 127.0.0.1 with a second host that files are redirected to; both can be told to misbehave."""
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """repos: {"owner/name": {path: bytes}}. Misbehaviour is by the file's path:

    cut[path]       lists how many bytes each answer in turn sends before the connection is cut
    status[path]    lists the HTTP status of each answer in turn, None for the file
    served[path]    other bytes than those whose sum is told
    before[path]    is called before the file is sent
    """

    def __init__(self, test):
        self.repos, self.cut, self.status, self.served, self.before = {}, {}, {}, {}, {}
        self.honours_range, self.redirects, self.tells_sums, self.token = True, True, True, None
        self.requests = []  # (host, path, headers)
        self.hub, self.files = self._start("hub"), self._start("files")
        self.address, self.files_address = (f"http://127.0.0.1:{server.server_port}"
                                            for server in (self.hub, self.files))
        for server in (self.hub, self.files):
            test.addCleanup(server.server_close)
            test.addCleanup(server.shutdown)

    def _start(self, host):
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"state": self, "host": host}))
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # clients that go away are what these tests are about
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    def requests_of(self, host):
        return [(path, headers) for at, path, headers in self.requests if at == host]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        state = self.state
        state.requests.append((self.host, self.path, dict(self.headers)))
        path = self.path.split("?")[0]
        if self.host == "files":
            repo, _, file = path[1:].partition("/blob/")
            return self.send_file(file, state.repos[repo])
        if state.token and self.headers.get("Authorization") != f"Bearer {state.token}":
            return self.answer(401, b"who are you?", X_Error_Code="GatedRepo")
        for repo, files in state.repos.items():
            if path.startswith(f"/api/models/{repo}/revision/"):
                return self.send_listing(files)
            if path.startswith(f"/{repo}/resolve/"):
                return self.resolve(repo, files, path.split("/resolve/")[1].partition("/")[2])
        return self.answer(404, b"Repository not found")

    def send_listing(self, files):
        if self.state.status.get("listing"):
            return self.answer(self.state.status["listing"].pop(0))
        siblings = [{"rfilename": path, "size": len(content)} for path, content in files.items()]
        for entry in siblings if self.state.tells_sums else []:
            if entry["rfilename"].endswith(".safetensors"):
                entry["lfs"] = {"sha256": hashlib.sha256(files[entry["rfilename"]]).hexdigest()}
        return self.answer(200, json.dumps({"sha": COMMIT, "cardData": {"license": "mit"},
                                            "siblings": siblings}).encode())

    def resolve(self, repo, files, path):
        if path not in files:
            return self.answer(404, b"Entry not found")
        etag = hashlib.sha256(files[path]).hexdigest()
        if self.state.redirects and path.endswith(".safetensors"):
            return self.answer(302, Location=f"{self.state.files_address}/{repo}/blob/{path}",
                               X_Linked_ETag=f'"{etag}"')
        return self.send_file(path, files)

    def send_file(self, path, files):
        state = self.state
        if path in state.before:
            state.before[path]()
        status = state.status[path].pop(0) if state.status.get(path) else None
        if status:
            return self.answer(status, b"an error page that is no part of the file")
        content = state.served.get(path, files[path])
        start, asked = 0, self.headers.get("Range")
        if asked and state.honours_range:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                return self.answer(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if state.cut.get(path):
            self.wfile.write(content[start:start + state.cut[path].pop(0)])
            self.close_connection = True
            return None
        return self.wfile.write(content[start:])
