# SPDX-License-Identifier: Apache-2.0
"""deploy/ in a real Prometheus: its configuration, the alerts, and each query of the dashboard against a real server on
a GPU that is not there."""
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse
import urllib.request

from harness import BINARY, ROOT, SKIPPED, TIMEOUT, HttpTest

DEPLOY = os.path.join(ROOT, "deploy")
CONFIG = os.path.join(DEPLOY, "prometheus", "prometheus.yml")
RULES = os.path.join(DEPLOY, "prometheus", "eleanor.rules.yml")
DASHBOARD = os.path.join(DEPLOY, "grafana", "eleanor.json")
UNIT = os.path.join(DEPLOY, "systemd", "eleanor.service")
H200 = os.path.join(ROOT, "tests", "machines", "h200.yaml")
KEY = "a-key-of-the-test"
FOREIGN = ("te_", "vllm:", "DCGM_", "gpu_")  # names that others have chosen, and their linters too
WORDS = {"and", "or", "unless", "by", "on", "bool", "ignoring", "without", "offset", "group_left", "group_right"}


def run(*command, **kwargs):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=TIMEOUT, text=True,
                          **kwargs)


def names_of(expression):
    """The metrics of a PromQL expression."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(by|on|group_left|group_right)\s*\([^)]*\)', " ", expression)
    return {name for name in re.findall(r"(?<![\w.])[A-Za-z_:][\w:]*(?!\s*\(|[\w:])", bare) if name not in WORDS}


def panels():
    """(title, expression) of every query of the dashboard."""
    with open(DASHBOARD, encoding="utf-8") as file:
        for panel in json.load(file)["panels"]:
            for target in panel.get("targets", []):
                yield panel["title"], target["expr"]


def fill_in(expression):
    """What Grafana makes of an expression when all is picked."""
    return re.sub(r"\$(job|instance|model)\b", ".*", expression.replace("$__rate_interval", "10s"))


class Files(unittest.TestCase):
    def expect(self, *command, **kwargs):
        result = run(*command, **kwargs)
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout

    def test_prometheus_takes_the_configuration(self):
        self.assertIn("is valid", self.expect("promtool", "check", "config", CONFIG))

    def test_each_alert_fires_when_it_should(self):
        self.assertIn("SUCCESS", self.expect("promtool", "check", "rules", RULES))
        tests = os.path.join(os.path.dirname(__file__), "alerts.yml")
        self.expect("promtool", "test", "rules", tests)
        with open(RULES, encoding="utf-8") as rules, open(tests, encoding="utf-8") as tested:
            alerts = set(re.findall(r"alert: (\w+)", rules.read()))
            self.assertEqual(alerts, set(re.findall(r"alertname: (\w+)", tested.read())))

    def test_the_dashboard_is_what_its_tool_writes(self):
        with open(DASHBOARD, encoding="utf-8") as file:
            self.assertEqual(file.read(), self.expect(os.path.join(ROOT, "tools", "make-dashboard")),
                             "tools/make-dashboard > deploy/grafana/eleanor.json")

    def test_the_names_of_an_expression_are_found(self):
        self.assertEqual(names_of('sum by (le) (rate(a_b{c="d"}[5m])) / on (e) group_left () vllm:f > 1e6'), {"a_b", "vllm:f"})

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not here")
    def test_systemd_takes_the_unit(self):
        with open(UNIT, encoding="utf-8") as file:
            unit = file.read().replace("/usr/local/bin/eleanor", BINARY)
        folder = HttpTest.folder(self)
        path = os.path.join(folder, "eleanor.service")
        with open(path, "w", encoding="utf-8") as file:
            file.write(unit)
        said = run("systemd-analyze", "verify", "--man=no", path)
        self.assertEqual((said.returncode, "eleanor.service" in said.stdout), (0, False), said.stdout)
        # In tenths: 0 is as closed as can be, 92 a unit that closes nothing; this one has 19.
        self.expect("systemd-analyze", "security", "--offline=true", "--threshold=25", path)


class Prometheus:
    """A Prometheus of its own, on a free port, with the files of deploy/ for one server."""

    def __init__(self, folder, target, key_file):
        with socket.create_server(("127.0.0.1", 0)) as unused:
            self.port = unused.getsockname()[1]
        with open(CONFIG, encoding="utf-8") as file:
            config = file.read()
        config = config.replace("localhost:8080", target).replace("15s", "500ms")
        config = re.sub(r"# (authorization:\n\s+)# (  credentials_file: ).*", rf"\g<1>\g<2>{key_file}", config)
        with open(os.path.join(folder, "prometheus.yml"), "w", encoding="utf-8") as file:
            file.write(config)
        shutil.copy(RULES, folder)
        self.log = open(os.path.join(folder, "log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml",
                                         f"--storage.tsdb.path={folder}/data",
                                         f"--web.listen-address=127.0.0.1:{self.port}"], stdout=self.log, stderr=self.log)

    def ask(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=TIMEOUT) as answer:
            found = json.load(answer)
        if found["status"] != "success":
            raise AssertionError(found)
        return found["data"]

    def wait(self, ready):
        end = time.monotonic() + 60
        while True:
            try:
                if ready():
                    return
            except (OSError, AssertionError):
                pass  # not up yet
            if time.monotonic() > end or self.process.poll() is not None:
                self.log.seek(0)
                raise AssertionError("Prometheus did not come so far:\n" + self.log.read())
            time.sleep(0.1)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


class Live(HttpTest):
    flags = None

    def hot_machine(self):
        """An H200 that others have nearly filled, and that is hot."""
        with open(H200, encoding="utf-8") as file:
            text = file.read()
        for number, value in (("memory_used", "130 GiB"), ("temperature", "86 C")):
            text, count = re.subn(rf"(\b{number}:).*", rf"\1 {value}", text)
            self.assertEqual(count, 1)
        path = os.path.join(self.folder(), "hot.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start_all(self):
        """A server, a Prometheus that has scraped it some times, and a client that does not stop asking."""
        key_file = os.path.join(self.folder(), "key")
        with open(key_file, "w", encoding="utf-8") as file:
            file.write(KEY)
        server = self.start("--api-key-file", key_file, machine=self.hot_machine())
        headers = {"Authorization": f"Bearer {KEY}"}
        done = threading.Event()

        def ask_on():
            count = 0
            while not done.wait(0.05):
                count += 1
                for given in ("one", [f"{count}", "two", "and three"], []):
                    server.ask("POST", "/v1/embeddings", {"input": given, "model": self.name}, headers)

        client = threading.Thread(target=ask_on)
        client.start()
        self.addCleanup(client.join)
        self.addCleanup(done.set)
        prometheus = Prometheus(self.folder(), f"127.0.0.1:{server.port}", key_file)
        self.addCleanup(prometheus.close)
        prometheus.wait(lambda: self.has_scraped(prometheus))
        return server, headers, prometheus

    @staticmethod
    def has_scraped(prometheus):
        scraped = prometheus.ask("query", query='count_over_time(eleanor_build_info{job="eleanor"}[1m])')["result"]
        return scraped and int(scraped[0]["value"][1]) >= 5

    def test_a_scrape_feeds_the_dashboard_and_the_alerts(self):
        server, headers, prometheus = self.start_all()
        targets = prometheus.ask("targets")["activeTargets"]
        self.assertEqual([(target["health"], target["lastError"]) for target in targets], [("up", "")])
        self.check_dashboard(prometheus)
        self.check_rules(prometheus)
        self.check_lint(server, headers)

    def check_dashboard(self, prometheus):
        known = set(prometheus.ask("label/__name__/values"))
        for title, expression in panels():
            self.assertEqual(names_of(expression) - known, set(), title)
            result = prometheus.ask("query", query=fill_in(expression))["result"]
            self.assertTrue(result, f"{title}: nothing comes of {fill_in(expression)}")
        shown = {title: prometheus.ask("query", query=fill_in(expression))["result"][0]["value"][1]
                 for title, expression in panels()}
        self.assertGreater(float(shown["Requests"]), 0)
        self.assertGreater(float(shown["Requests that fail or are refused"]), 0.2)  # one of three has no input
        self.assertGreater(float(shown["99 % are answered within"]), 0)
        self.assertEqual((shown["Servers that answer"], shown["Alerts that servers raise"]), ("1", "2"))

    def check_rules(self, prometheus):
        prometheus.wait(lambda: {"EleanorGpuMemory", "EleanorGpuHot", "EleanorGpuWarm"} <= self.alerts(prometheus))
        self.assertNotIn("EleanorDeviceLost", self.alerts(prometheus))
        known = set(prometheus.ask("label/__name__/values"))
        for group in prometheus.ask("rules")["groups"]:
            for rule in group["rules"]:
                self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""), rule["name"])
                self.assertEqual(names_of(rule["query"]) - known, set(), rule["name"])

    @staticmethod
    def alerts(prometheus):
        return {alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"]}

    def check_lint(self, server, headers):
        metrics = server.ask("GET", "/metrics", headers=headers).body.decode()
        said = run("promtool", "check", "metrics", input=metrics)
        self.assertIn(said.returncode, (0, 3), said.stdout)  # 1: it cannot be read; 3: it has complaints
        ours = [line for line in said.stdout.splitlines() if not line.startswith(FOREIGN)]
        self.assertEqual(ours, [])


if __name__ == "__main__":
    if not (shutil.which("promtool") and shutil.which("prometheus")):
        print("SKIPPED: Prometheus is not here; tools/install-packages test installs it (Debian: prometheus)")
        sys.exit(SKIPPED)
    if not glob.glob(os.path.join(os.path.dirname(BINARY), "tests", "fake", "lib", "libcuda.so*")):
        print("SKIPPED: this build has no fake drivers")
        sys.exit(SKIPPED)
    unittest.main()
