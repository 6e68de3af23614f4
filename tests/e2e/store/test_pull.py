#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`eleanor pull` against a hub that cuts, lies, refuses and redirects."""
import fcntl
import json
import os
import resource
import signal
import socket
import subprocess
import unittest

from hub import COMMIT, Hub
from storetest import BINARY, StoreTest, default_model, model_files, safetensors, sha256

REPO = "owner/tiny"
WEIGHTS = "model.safetensors"


class PullTest(StoreTest):
    def setUp(self):
        super().setUp()
        self.hub = Hub(self)
        self.files = model_files()
        self.hub.repos[REPO] = dict(self.files)
        self.env["HF_ENDPOINT"] = self.hub.address
        self.env["no_proxy"] = "127.0.0.1"

    def pull(self, code=0, says=(), name=REPO, **kwargs):
        return self.expect(code, "pull", name, says=says, **kwargs)

    def ranges(self):
        """What byte each request for the weights asked to begin at."""
        return [headers.get("Range") for path, headers in self.hub.requests_of("files")]


class Plain(PullTest):
    def test_installs_what_the_model_needs(self):
        self.hub.repos[REPO].update({"pytorch_model.bin": b"x", "onnx/model.onnx": b"x", "LICENSE": b"MIT"})
        self.pull()
        self.assert_installed(REPO, {**self.files, "LICENSE": b"MIT"})
        self.assertFalse([path for path, _ in self.hub.requests_of("hub") if "pytorch" in path or "onnx" in path])

    def test_json_says_where_it_came_from(self):
        facts = json.loads(self.expect(0, "pull", REPO, "--json"))
        self.assertEqual((facts["name"], facts["license"], facts["source"], facts["verified"]),
                         (REPO, "mit", f"hub:{REPO}@{COMMIT}", False))
        self.assertEqual(facts["bytes"], sum(map(len, self.files.values())))

    def test_takes_all_files_from_one_commit(self):
        self.expect(0, "pull", REPO, "--revision", "refs/pr/1")
        paths = [path for path, _ in self.hub.requests_of("hub")]
        self.assertIn(f"/api/models/{REPO}/revision/refs%2Fpr%2F1?blobs=true", paths)
        self.assertTrue(all(f"/resolve/{COMMIT}/" in path for path in paths[1:]), paths)

    def test_default_model_is_verified(self):
        """The real files, where this machine has them, with a cut in the middle."""
        folder, name = default_model(self), "sentence-transformers/all-MiniLM-L6-v2"
        files = {}
        for at, _, entries in os.walk(folder):
            for entry in entries:
                path = os.path.join(at, entry)
                with open(path, "rb") as file:
                    files[os.path.relpath(path, folder)] = file.read()
        del files["eleanor-model.json"]
        self.hub.repos[name] = files
        self.hub.cut[WEIGHTS] = [50_000_000]
        facts = json.loads(self.expect(0, "pull", "MiniLM", "--json"))
        self.assertEqual((facts["name"], facts["verified"]), ("all-MiniLM-L6-v2", True))
        self.assertEqual(self.ranges(), [None, "bytes=50000000-"])
        self.assert_installed("all-MiniLM-L6-v2", files)

    def test_leaves_an_installed_model_alone(self):
        self.pull()
        before = len(self.hub.requests)
        self.assertIn(b"is here already", self.pull())
        self.assertEqual(len(self.hub.requests), before)

    def test_replaces_when_asked(self):
        self.pull()
        self.files[WEIGHTS] = safetensors(1000, b"new!")
        self.hub.repos[REPO] = dict(self.files)
        self.expect(0, "pull", REPO, "--replace")
        self.assert_installed(REPO, self.files)
        self.assertEqual(self.staged(), [])

    def test_keeps_the_old_when_replacing_fails(self):
        self.pull()
        self.hub.served[WEIGHTS] = b"y" * len(self.files[WEIGHTS])
        self.expect(1, "pull", REPO, "--replace", says="wrong checksum")
        self.assert_installed(REPO, self.files)

    def test_unknown_name_is_told_how_names_look(self):
        self.pull(1, ["\"all-minilm-l6\"", "did you mean all-minilm", "OWNER/NAME"], name="all-minilm-l6")
        self.pull(1, "is no model name", name="../../etc")
        self.assert_nothing_left()

    def test_repository_without_safetensors(self):
        del self.hub.repos[REPO][WEIGHTS]
        self.hub.repos[REPO]["pytorch_model.bin"] = b"x"
        self.pull(1, ["pytorch_model.bin", "eleanor reads safetensors alone"])
        self.assert_nothing_left()

    def test_listing_that_climbs_out(self):
        self.hub.repos[REPO]["../../../evil/config.json"] = b"x"
        self.pull()
        self.assert_installed(REPO, self.files)

    def test_listing_that_is_none(self):
        self.hub.repos[REPO] = {}
        self.pull(1, f"{REPO} holds no model")
        self.assert_nothing_left()


class Interrupted(PullTest):
    def stop_after(self, size):
        """Leaves a part of the weights, by an answer after the cut that allows no further try."""
        self.hub.cut[WEIGHTS] = [size]
        self.hub.status[WEIGHTS] = [None, 400]
        self.pull(1, "HTTP 400")
        self.assert_nothing_installed()
        self.assertEqual(os.path.getsize(self.path(f"models/.staging/owner--tiny/{WEIGHTS}.part")), size)

    def test_goes_on_after_a_cut(self):
        self.hub.cut[WEIGHTS] = [100_000]
        self.pull(0, "trying again")
        self.assertEqual(self.ranges(), [None, "bytes=100000-"])
        self.assert_installed(REPO, self.files)

    def test_begins_again_where_range_is_ignored(self):
        self.hub.cut[WEIGHTS] = [100_000]
        self.hub.honours_range = False
        self.pull(0, f"can't resume {WEIGHTS}")
        self.assertEqual(self.ranges(), [None, "bytes=100000-"])
        self.assert_installed(REPO, self.files)

    def test_next_call_goes_on(self):
        self.hub.cut[WEIGHTS] = [50_000, 50_000] + [0] * 10
        self.pull(1, ["the connection to", "was lost", WEIGHTS, "given up", "the same command goes on from there"])
        self.assert_nothing_installed()
        self.assertIn(f"owner--tiny/{WEIGHTS}.part", self.staged())
        del self.hub.cut[WEIGHTS]
        self.hub.requests.clear()
        self.pull()
        self.assertEqual(self.ranges(), ["bytes=100000-"])
        paths = [path for path, _ in self.hub.requests_of("hub")]
        self.assertFalse([path for path in paths if path.endswith("tokenizer.json")], "fetched before")
        self.assert_installed(REPO, self.files)
        self.assertEqual(self.staged(), [])

    def test_killed_program_leaves_a_part_that_the_next_uses(self):
        self.hub.before[WEIGHTS] = lambda: self.killed and os.kill(self.killed.pid, signal.SIGKILL)
        self.killed = None
        binary = subprocess.Popen([BINARY, "pull", REPO], env=self.env, stderr=subprocess.DEVNULL)
        self.killed = binary
        self.assertEqual(binary.wait(), -signal.SIGKILL)
        self.assert_nothing_installed()
        self.killed = None
        self.pull()
        self.assert_installed(REPO, self.files)

    def test_damaged_part_is_fetched_again(self):
        self.stop_after(100_000)
        with open(self.path(f"models/.staging/owner--tiny/{WEIGHTS}.part"), "r+b") as file:
            file.write(b"damage")
        self.pull(0, "fetching it again from its start")
        self.assert_installed(REPO, self.files)

    def test_part_of_another_commit_is_not_used(self):
        self.stop_after(100_000)
        with open(self.path("models/.staging/owner--tiny/.origin"), "w", encoding="utf-8") as file:
            file.write(f"{REPO}@another")
        self.hub.requests.clear()
        self.pull()
        self.assertEqual(self.ranges(), [None])

    def test_busy_hub_is_tried_again(self):
        self.hub.status["listing"] = [503]
        self.hub.status[WEIGHTS] = [500, 429]
        self.pull(0, "trying again in")
        self.assert_installed(REPO, self.files)

    def test_hub_that_stays_busy(self):
        self.hub.status["listing"] = [503] * 10
        self.pull(1, ["given up after 5 tries", "HTTP 503"])
        self.assert_nothing_left()

    def test_second_program_waits_for_none(self):
        os.makedirs(self.path("models/.staging/owner--tiny"))
        lock = os.open(self.path("models/.staging/owner--tiny"), os.O_RDONLY)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.pull(1, "another eleanor is writing")
        self.assert_nothing_installed()


class Wrong(PullTest):
    def test_wrong_checksum_names_file_expected_and_got(self):
        wrong = bytes(len(self.files[WEIGHTS]))
        self.hub.served[WEIGHTS] = wrong
        self.pull(1, [WEIGHTS, "wrong checksum", sha256(self.files[WEIGHTS]), sha256(wrong)])
        self.assert_nothing_installed()
        self.assertNotIn(f"owner--tiny/{WEIGHTS}", self.staged())
        self.assertNotIn(f"owner--tiny/{WEIGHTS}.part", self.staged())

    def test_sum_of_the_redirect_counts_where_the_listing_has_none(self):
        self.hub.tells_sums = False
        self.hub.served[WEIGHTS] = bytes(len(self.files[WEIGHTS]))
        self.pull(1, "wrong checksum")
        self.assert_nothing_installed()

    def test_wrong_size(self):
        self.hub.served["tokenizer.json"] = b"{}"
        self.pull(1, ["tokenizer.json", "wrong size", "expected 13 bytes, got 2"])
        self.assert_nothing_installed()

    def test_endless_file_is_cut_off(self):
        self.hub.served[WEIGHTS] = self.files[WEIGHTS] * 100
        self.pull(1, f"longer than the {len(self.files[WEIGHTS])} bytes")
        self.assert_nothing_installed()
        self.assertNotIn(f"owner--tiny/{WEIGHTS}.part", self.staged())

    def test_catalog_decides_over_the_hub(self):
        """The hub's own sums are right for these files, but they are not the model that the catalog knows."""
        self.hub.repos["sentence-transformers/all-MiniLM-L6-v2"] = dict(self.files)
        self.pull(1, ["all-MiniLM-L6-v2", "config.json", "wrong checksum",
                      "expected sha256 953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                      f"got {sha256(self.files['config.json'])}"], name="minilm")
        self.assert_nothing_installed()

    def test_missing_repository(self):
        self.pull(1, ["HTTP 404", "owner/none"], name="owner/none")
        self.assert_nothing_left()

    def test_missing_file(self):
        self.hub.status["tokenizer.json"] = [404]
        self.pull(1, ["has no tokenizer.json", "HTTP 404"])
        self.assert_nothing_installed()

    def test_redirects_without_end(self):
        self.hub.files_address = self.hub.address + f"/{REPO}/resolve/{COMMIT}/{WEIGHTS}?"
        self.pull(1, "redirects")
        self.assert_nothing_installed()


class Token(PullTest):
    def test_private_without_token(self):
        self.hub.token = "hf_secret"
        self.pull(1, ["HTTP 401", "private or gated", "set HF_TOKEN"])
        self.assert_nothing_left()

    def test_wrong_token(self):
        self.hub.token = "hf_secret"
        self.pull(1, ["HTTP 401", "whether HF_TOKEN is valid"], env={"HF_TOKEN": "hf_wrong"})
        self.assert_nothing_left()

    def test_token_goes_to_the_hub_alone(self):
        self.hub.token = "hf_secret"
        self.hub.cut[WEIGHTS] = [100_000]  # the second request of a kind is redirected too
        self.pull(env={"HF_TOKEN": "hf_secret\n"})
        self.assert_installed(REPO, self.files)
        self.assertTrue(all(h.get("Authorization") == "Bearer hf_secret" for _, h in self.hub.requests_of("hub")))
        self.assertEqual(len(self.hub.requests_of("files")), 2)
        for _, headers in self.hub.requests_of("files"):
            self.assertNotIn("hf_secret", str(headers))

    def test_token_is_not_in_what_is_printed_or_kept(self):
        self.hub.token = "hf_other"
        result = self.run_cli("pull", REPO, env={"HF_TOKEN": "hf_secret"})
        self.assertNotIn(b"hf_secret", result.stdout + result.stderr)

    def test_token_that_would_make_a_header(self):
        self.pull(1, "HF_TOKEN holds a character", env={"HF_TOKEN": "x\r\nEvil: 1"})
        self.assertEqual(self.hub.requests, [])


class Unreachable(PullTest):
    def test_offline_variable(self):
        self.pull(1, ["HF_HUB_OFFLINE is set", "eleanor import PATH"], env={"HF_HUB_OFFLINE": "1"})
        self.assertEqual(self.hub.requests, [])
        self.assert_nothing_left()

    def test_offline_with_the_model_here(self):
        self.pull()
        self.assertIn(b"is here already", self.pull(env={"HF_HUB_OFFLINE": "1"}))

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        self.pull(1, [f"cannot reach http://127.0.0.1:{port}", "HF_ENDPOINT", "eleanor import PATH"],
                  env={"HF_ENDPOINT": f"http://127.0.0.1:{port}/"})
        self.pull(1, "cannot reach", name="minilm", env={"HF_ENDPOINT": f"http://127.0.0.1:{port}"})
        self.assert_nothing_left()

    def test_proxy_of_the_environment(self):
        self.pull(env={"HF_ENDPOINT": "http://hub.invalid", "http_proxy": self.hub.address, "no_proxy": ""},
                  code=1)
        self.assertTrue(self.hub.requests[0][1].startswith("http://hub.invalid/api/models/"))

    def test_endpoint_that_is_none(self):
        self.pull(1, "HF_ENDPOINT is \"file:///etc\"", env={"HF_ENDPOINT": "file:///etc"})


class FullDisk(PullTest):
    def test_write_that_fails(self):
        limit = 100_000
        self.pull(1, [WEIGHTS, "cannot write", "File too large", "ulimit"],
                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.assert_nothing_left()

    def mount(self, kilobytes):
        os.makedirs(self.path("small"))
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", self.path("small")],
                              stderr=subprocess.PIPE, check=False) if os.geteuid() == 0 else None
        if done is None or done.returncode:
            self.skipTest("mounting a small disk needs root")
        self.addCleanup(subprocess.run, ["umount", self.path("small")], check=True)
        self.env["ELEANOR_HOME"] = self.path("small")

    def test_disk_is_too_small(self):
        self.mount(200)
        self.pull(1, ["is too full", "0.3 MB are needed", "ELEANOR_HOME"])
        self.assertEqual(self.installed(), [])

    def test_disk_fills_up_meanwhile(self):
        self.mount(600)

        def fill():
            with open(self.path("small/filler"), "wb") as file:
                file.write(bytes(450_000))
        self.hub.before[WEIGHTS] = fill
        self.pull(1, [WEIGHTS, "No space left on device", "free some space"])
        self.assertEqual(self.installed(), [])
        self.assertEqual(os.listdir(self.path("small/models/.staging")), [])


if __name__ == "__main__":
    unittest.main()
