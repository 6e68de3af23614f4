# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL with pgvector, of the PyPI package pgserver, in a folder of its own and reached by a socket there.
It does not run as root, so root lends it to the user `nobody`."""
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse


class Server:
    def __init__(self, *options):
        """`options` of postgres; without any it does not wait for the disk."""
        self.options = options or ("-F",)
        self.folder = tempfile.mkdtemp(prefix="eleanor-pg-")
        site = os.path.dirname(os.path.dirname(importlib.util.find_spec("pgserver").origin))
        self.as_nobody = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.as_nobody = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for part in ("pgserver/pginstall", "pgserver.libs"):  # for nobody may have no way to where it is
                shutil.copytree(os.path.join(site, part), os.path.join(self.folder, part),
                                ignore=shutil.ignore_patterns("timezone", "*.a", "include"))
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            site = self.folder
        self.programs = os.path.join(site, "pgserver", "pginstall", "bin")
        self.process = None
        self.run("initdb", "-D", self.path("data"), "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8",
                 "--locale=C")
        self.start()

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, program, *args):
        return subprocess.run([os.path.join(self.programs, program), *args], check=True, cwd=self.folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **self.as_nobody).stdout

    def start(self):
        log = open(self.path("log"), "ab")
        with log:
            self.process = subprocess.Popen(
                [os.path.join(self.programs, "postgres"), "-D", self.path("data"), "-k", self.folder, "-h", "", *self.options],
                stdout=log, stderr=log, cwd=self.folder, **self.as_nobody)
        end = time.monotonic() + 30
        while subprocess.run([os.path.join(self.programs, "pg_isready"), "-q", "-h", self.folder], check=False,
                             timeout=60).returncode:
            if time.monotonic() > end or self.process.poll() is not None:
                with open(self.path("log"), encoding="utf-8", errors="replace") as file:
                    raise RuntimeError(file.read())
            time.sleep(0.02)

    def stop(self):
        """At once, as after a crash: what is under way is lost, and the next start recovers."""
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(60)
        self.process = None

    def done(self):
        self.stop()
        shutil.rmtree(self.folder)

    def url(self, user="postgres", database="postgres"):
        return f"postgres://{user}@{urllib.parse.quote(self.folder, safe='')}/{database}"

    def sql(self, statement, database="postgres"):
        return self.run("psql", "-h", self.folder, "-U", "postgres", "-d", database, "-qAtX", "-v", "ON_ERROR_STOP=1",
                        "-c", statement).strip()
