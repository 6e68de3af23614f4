# SPDX-License-Identifier: Apache-2.0
"""doctor and bench device: on a machine without drivers, on PoCL, on machines that are not there."""
import concurrent.futures
import json
import os
import re
import subprocess
import time
import unittest
import urllib.request

from harness import BINARY, BUILD, ROOT, SANITIZER, TIMEOUT, WITH_MACHINE, CliTest, ModelTest

FAKES = os.path.join(BUILD, "tests", "fake")
FAKE_DRIVERS = os.path.exists(os.path.join(FAKES, "lib", "libcuda.so.1"))


class DeviceTest(CliTest):
    def on(self, machine, *args, code=0, env=None):
        """Runs the binary on a machine of tests/machines; returns its standard output and standard error."""
        result = subprocess.run([WITH_MACHINE, machine, BINARY, *args], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=TIMEOUT, check=False, text=True,
                                env={**self.env, "EL_BUILD": BUILD, **(env or {})})
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertNotIn("Sanitizer", result.stderr)
        return result.stdout, result.stderr

    def doctor(self, machine, *args, **kwargs):
        return json.loads(self.on(machine, "doctor", "--json", *args, **kwargs)[0])

    @staticmethod
    def checks(found, result):
        return [check["what"] for check in found["checks"] if check["result"] == result]


@unittest.skipUnless(os.path.isdir(FAKES), "this build has no machines")
class WithoutDrivers(DeviceTest):
    def test_doctor_is_content_with_the_processor(self):
        found = self.doctor("none")
        self.assertTrue(found["healthy"])
        self.assertEqual([driver["found"] for driver in found["drivers"]], [False, False])
        self.assertEqual(found["manager"]["mode"], "cpu")
        self.assertGreaterEqual(found["machine"]["online"], found["processor"]["processors"])
        self.assertGreater(found["machine"]["memory"], 0)
        self.assertEqual([device["id"] for device in found["devices"]], ["cpu:0"])
        self.assertEqual(self.checks(found, "FAIL"), [])
        device = found["devices"][0]
        self.assertTrue(device["healthy"])
        self.assertGreater(device["memory_stats"]["total_mb"], 0)
        self.assertGreater(device["rates"]["matmul_tflop_s"]["fp32"], 0)
        self.assertIn("libcuda.so.1", self.candidate(found, "cuda")["reason"])
        self.assertIn("Metal", self.candidate(found, "mps")["reason"])
        self.assertIn("problem", found["nvml"])

    @staticmethod
    def candidate(found, device):
        return next(row for row in found["candidates"] if row["id"] == device)

    def test_a_device_that_is_asked_for_and_not_there_fails(self):
        found = self.doctor("none", "--device", "cuda:0", code=1)
        self.assertFalse(found["healthy"])
        self.assertIn("libcuda.so.1", self.checks(found, "FAIL")[0])
        self.assertEqual([row["id"] for row in found["candidates"]], ["cuda", "opencl", "mps", "cpu:0"])

    def test_a_model_that_is_not_there_is_a_warning(self):
        self.assertIn("model no-such is not installed", self.checks(self.doctor("none", "--model", "no-such"), "WARN"))

    def test_gpu_yaml_is_heeded(self):
        preset = os.path.join(ROOT, "config", "m1-pro.yaml")
        found = self.doctor("none", "--gpu-config", preset)
        self.assertIn("mps: Apple's Metal is not available", found["manager"]["fallback"])
        parts = self.doctor("none", "--device", "cpu=2")
        self.assertEqual([device["id"] for device in parts["devices"]], ["cpu:0", "cpu:1"])

    def test_the_text_says_the_same(self):
        text, _ = self.on("none", "doctor")
        for part in ["Processor\n", "Drivers\n", "libcuda.so.1", "Devices\n", "mode cpu", "cpu:0", "0 FAIL"]:
            self.assertIn(part, text)

    def test_wrong_usage(self):
        self.on("none", "doctor", "extra", code=2)
        self.on("none", "doctor", "--device", "gpu:1", code=1)  # names no kind: a finding like others
        self.assertIn("bench device", self.on("none", "bench", "embedding", code=2)[1])

    def test_bench_device(self):
        found = json.loads(self.on("none", "bench", "device", "--json")[0])
        self.assertEqual([device["id"] for device in found["devices"]], ["cpu:0"])
        for figure in ("upload_gb_s", "download_gb_s", "copy_gb_s"):
            self.assertGreater(found["devices"][0][figure], 0)
        self.assertIn("no cuda device", self.on("none", "bench", "device", "--device", "cuda", code=1)[1])


@unittest.skipUnless(FAKE_DRIVERS, "this build has no CUDA driver that is not there")
class Machines(DeviceTest):
    def test_eight_gpus_of_which_the_settings_choose_four(self):
        preset = os.path.join(ROOT, "config", "4xa100.yaml")
        found = self.doctor("8xa100-nvlink", "--gpu-config", preset)
        self.assertTrue(found["healthy"])
        gpus = [row for row in found["candidates"] if row["kind"] == "cuda"]
        self.assertEqual([row["id"] for row in gpus], [f"cuda:{i}" for i in range(8)])
        self.assertEqual([row["chosen"] for row in gpus], [True] * 4 + [False] * 4)
        self.assertEqual((gpus[0]["capability"], gpus[0]["memory_bytes"]), (8.0, 80 << 30))
        links = found["nvml"]["links"]
        self.assertEqual([links[i][i] for i in range(8)], ["X"] * 8)
        self.assertEqual(links[0][1:], ["NV12"] * 7)
        device = next(row for row in found["devices"] if row["id"] == "cuda:7")
        self.assertTrue(device["healthy"])
        self.assertGreater(device["nvml"]["temperature"], 0)
        self.assertGreater(device["rates"]["matmul_tflop_s"]["fp16"], 0)

    def test_an_index_that_is_not_there(self):
        found = self.doctor("dual-3090-nvlink", "--device", "cuda:1", env={"CUDA_VISIBLE_DEVICES": "1"})
        self.assertIn("cuda:0 is used instead", self.checks(found, "WARN")[-1])
        self.assertEqual(found["manager"]["cuda_visible_devices"], "1")

    def test_a_device_that_computes_wrongly_fails(self):
        found = self.doctor("8xa100-nvlink-wrong", code=1, env={"CUDA_VISIBLE_DEVICES": "2,3"})
        self.assertEqual([row["id"] for row in found["candidates"] if row["chosen"]], ["cuda:0"])
        self.assertEqual([row["id"] for row in found["devices"] if not row["healthy"]], ["cuda:1"])
        self.assertIn("cuda:1 is not healthy", self.checks(found, "FAIL")[0])

    def test_a_device_that_fails_while_it_is_measured(self):
        found = self.doctor("h200-ecc", code=1)
        self.assertIn("cuda:0 failed while it was measured", self.checks(found, "FAIL")[0])
        device = next(row for row in found["devices"] if row["id"] == "cuda:0")
        self.assertFalse(device["healthy"])
        self.assertIn("ECC", device["error"])


@unittest.skipUnless(FAKE_DRIVERS, "this build has no CUDA driver that is not there")
class Serve(DeviceTest, ModelTest):
    def serve(self, machine, *args, env=None):
        """Starts a server there; returns a function that asks it, and its process."""
        process = subprocess.Popen([WITH_MACHINE, machine, BINARY, "serve", "--port", "0", "--model", self.model, *args],
                                   env={**self.env, "EL_BUILD": BUILD, **(env or {})}, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        process.url = process.stdout.readline().decode().strip()

        def ask(path, body=None):
            data = None if body is None else json.dumps(body).encode()
            with urllib.request.urlopen(process.url + path, data, timeout=TIMEOUT) as answer:
                return answer.read().decode()
        return ask, process

    def test_the_metrics_of_gpus(self):
        ask, _ = self.serve("rtx4090")
        health = json.loads(ask("/health"))
        self.assertEqual((health["models"][0]["device"], health["hardware"]["mode"]), ("cuda:0", "cuda"))
        self.assertTrue(health["hardware"]["devices"][0]["healthy"])
        metrics = ask("/metrics")
        for name in ["gpu_memory_used_mb", "gpu_memory_total_mb", "gpu_utilization_pct"]:
            self.assertRegex(metrics, rf'(?m)^{name}{{device_id="0"}} [0-9.e+]+$')
        for name in ["GPU_TEMP", "POWER_USAGE", "FB_USED", "FB_FREE", "XID_ERRORS", "SM_CLOCK"]:
            self.assertRegex(metrics, rf'(?m)^DCGM_FI_DEV_{name}{{gpu="0",UUID="GPU-[-0-9a-f]+"}} [0-9.e+]+$')
        self.assertRegex(metrics, r'(?m)^eleanor_device_allocated_bytes{device="cuda:0"} [1-9]')
        self.assertIn('eleanor_device_healthy{device="cuda:0"} 1', metrics)
        self.assertNotIn("eleanor_gpu_ecc_errors", metrics)  # this card does not count them: unknown, not zero

    def test_a_trace(self):
        trace = os.path.join(self.folder, "trace.json")
        self.on("rtx4090", "embed", "--model", self.model, "--text", "a", "--trace", trace)
        names = self.names_in(trace)
        self.assertIn("batch", names)
        self.assertTrue([name for name in names if name.startswith("embed_norm")], names)
        self.on("none", "embed", "--model", self.model, "--text", "a", "--trace", trace)
        self.assertIn("batch", self.names_in(trace))
        self.assertIn("/nonexistent", self.on("none", "embed", "--model", self.model, "--text", "a", "--trace",
                                              "/nonexistent/trace.json", code=1)[1])

    @staticmethod
    def names_in(path):
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        return {event["name"] for event in (found["traceEvents"] if isinstance(found, dict) else found)}

    def test_a_gpu_that_falls_off_the_bus_is_seen(self):
        trip = os.path.join(self.folder, "trip")
        ask, process = self.serve("rtx4090", env={"EL_FAKE_TRIP": trip})
        self.assertTrue(json.loads(ask("/health"))["hardware"]["healthy"])
        with open(trip, "w", encoding="utf-8") as file:
            file.write("0 off-the-bus\n")
        until = time.monotonic() + TIMEOUT
        while json.loads(ask("/health"))["hardware"]["healthy"]:
            self.assertLess(time.monotonic(), until, "the loss was not seen")
            time.sleep(0.1)
        self.assertIn('eleanor_device_healthy{device="cuda:0"} 0', ask("/metrics"))
        process.terminate()
        _, error = process.communicate(timeout=TIMEOUT)
        self.assertIn(b"cuda:0 is not healthy", error)

    def test_no_request_is_lost_with_its_gpu(self):
        """Clients ask all the time while one GPU falls off the bus, then the other: every answer comes, and is right."""
        trip = os.path.join(self.folder, "trip")
        ask, process = self.serve("dual-3090-nvlink", "--device", "cuda:0,cuda:1", "--precision", "fp32", "--cache-mb", "0",
                                  env={"EL_FAKE_TRIP": trip})

        def embed(_=None):
            answer = json.loads(ask("/v1/embeddings", {"input": ["the cat sat", "a dog"]}))
            return [row["embedding"] for row in answer["data"]]

        def device():
            return json.loads(ask("/health"))["models"][0]["device"]

        first = embed()
        self.assertEqual(device(), "cuda:0")
        self.assertEqual(json.loads(ask("/health"))["models"][0]["devices"], ["cuda:0", "cuda:1"])
        with concurrent.futures.ThreadPoolExecutor(4) as clients:
            for lost, then in ((0, "cuda:1"), (1, "cpu:0")):
                with open(trip, "a", encoding="utf-8") as file:
                    file.write(f"{lost} off-the-bus\n")
                answers = list(clients.map(embed, range(40)))
                until = time.monotonic() + TIMEOUT
                while device() != then:
                    self.assertLess(time.monotonic(), until, "the loss was not seen")
                    answers.append(embed())
                for answer in answers:
                    for got, want in zip(answer, first):
                        self.assertLess(max(abs(a - b) for a, b in zip(got, want)), 1e-5)
        process.terminate()
        _, error = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 0, error)
        self.assertIn(b"cuda:0 was lost", error)
        self.assertIn(b"its work goes to cuda:1", error)
        self.assertIn(b"cuda:1 was lost", error)
        self.assertIn(b"the model was loaded on cpu", error)

    def test_a_gpu_that_comes_back_works_again(self):
        trip = os.path.join(self.folder, "trip")
        ask, process = self.serve("rtx4090", "--rejoin-s", "1", "--rejoin-longest-s", "1", "--rejoin-probes", "2",
                                  "--precision", "fp32", "--cache-mb", "0", env={"EL_FAKE_TRIP": trip})
        name = os.path.basename(self.model.rstrip("/"))
        first = ask("/v1/embeddings", {"input": "the cat sat"})

        def embed_until_it_is_on(device):
            until = time.monotonic() + TIMEOUT
            while True:
                answer = ask("/v1/embeddings", {"input": "the cat sat"})
                model = json.loads(ask("/health"))["models"][0]
                if model["device"] == device:
                    return answer, model
                self.assertLess(time.monotonic(), until, model)

        for text, device in (("0 off-the-bus\n", "cpu:0"), ("", "cuda:0")):
            with open(trip, "w", encoding="utf-8") as file:
                file.write(text)
            answer, model = embed_until_it_is_on(device)
            metrics = ask("/metrics")
            lost = device == "cpu:0"
            self.assertEqual([row["device"] for row in model["given_up"]], ["cuda:0"] if lost else [])
            self.assertEqual(model["info"]["rejoins"], 0 if lost else 1)
            self.assertIn(f'eleanor_device_given_up{{model="{name}",device="cuda:0"}} {int(lost)}', metrics)
            self.assertIn(f'eleanor_device_rejoins_total{{model="{name}"}} {int(not lost)}', metrics)
            if lost:
                url = process.url
                top = json.loads(self.on("rtx4090", "top", "--json", "--count", "1", "--url", url)[0])["server"]
                self.assertEqual(top["given_up"], [{"device": "cuda:0", "model": name}])
                self.assertIn("given up: cuda:0", self.on("rtx4090", "top", "--count", "1", "--url", url)[0])
                self.assertRegex(str(model["given_up"][0]["next_try_s"]), r"^[01]\.[0-9]$")
        self.assertEqual(ask("/v1/embeddings", {"input": "the cat sat"}), first)
        self.assertIn("1 devices came back", self.on("rtx4090", "top", "--count", "1", "--url", process.url)[0])
        process.terminate()
        _, error = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 0, error)
        self.assertEqual(error.count(b"it is tried again in 1 s"), 1, error)
        self.assertEqual(error.count(b"cuda:0 is well again; the model was loaded on it"), 1, error)

    def test_a_text_that_comes_again_is_one_graph(self):
        report = os.path.join(self.folder, "report.json")
        ask, process = self.serve("h200", "--cache-mb", "0", "--streams", "1", env={"EL_FAKE_REPORT": report})
        answers = {ask("/v1/embeddings", {"input": "the cat sat"}) for _ in range(5)}
        self.assertEqual(len(answers), 1)
        process.terminate()
        process.communicate(timeout=TIMEOUT)
        with open(report, encoding="utf-8") as file:
            calls = json.load(file)["calls"]
        self.assertEqual((calls["cuStreamBeginCapture"], calls["cuGraphLaunch"]), (1, 4))

    def test_memory_is_logged_and_alerted(self):
        ask, process = self.serve("rtx4090", "--log-memory-stats", "--memory-check-interval", "1",
                                  "--alert-threshold-pct", "1")
        time.sleep(1.5)
        recent = json.loads(ask("/health"))["recent"]
        self.assertEqual((recent["seconds"], [row["id"] for row in recent["devices"]]), (300, ["cuda:0"]))
        device = recent["devices"][0]
        self.assertEqual(device["alerts"], ["memory"])
        self.assertEqual(device["temperature_c"], {"last": 38, "min": 38, "mean": 38, "max": 38})
        self.assertGreater(device["memory_pct"]["min"], 1)
        metrics = ask("/metrics")
        self.assertIn('eleanor_alert_active{device="cuda:0",kind="memory"} 1', metrics)
        self.assertIn('eleanor_alert_active{device="cuda:0",kind="temperature"} 0', metrics)
        process.terminate()
        _, error = process.communicate(timeout=TIMEOUT)
        self.assertGreaterEqual(len(re.findall(rb"MB allocated.* in the last 1 s .*temperature 38 to 38 C", error)), 2, error)
        self.assertEqual(error.count(b"alert_threshold_pct is 1"), 1, error)

    def test_a_processor_has_no_temperature(self):
        ask, _ = self.serve("none", "--device", "cpu")
        device = json.loads(ask("/health"))["recent"]["devices"][0]
        self.assertEqual((device["id"], device["alerts"], device["temperature_c"], device["power_w"]), ("cpu:0", [], None, None))
        self.assertIsNotNone(device["memory_pct"])
        metrics = ask("/metrics")
        self.assertIn('eleanor_alert_active{device="cpu:0",kind="memory"} 0', metrics)
        self.assertNotIn('kind="temperature"', metrics)

    def test_without_a_gpu_fp16_becomes_auto(self):
        preset = os.path.join(ROOT, "config", "rtx4090.yaml")
        ask, process = self.serve("none", "--gpu-config", preset)
        self.assertEqual(json.loads(ask("/health"))["models"][0]["device"], "cpu:0")
        self.assertNotIn("gpu_memory_used_mb", ask("/metrics"))
        process.terminate()
        _, error = process.communicate(timeout=TIMEOUT)
        self.assertIn(b"no GPU can be used, so the processor computes", error)
        self.on("none", "embed", "--model", self.model, "--text", "a", "--gpu-config", preset)


def opencl_devices():
    result = subprocess.run([BINARY, "doctor", "--json"], stdout=subprocess.PIPE, check=False, timeout=TIMEOUT)
    return [row for row in json.loads(result.stdout)["candidates"] if row["kind"] == "opencl" and row["usable"]]


@unittest.skipIf(SANITIZER == "thread", "OpenCL drivers are not built for it")
class OpenCL(DeviceTest):
    def setUp(self):
        super().setUp()
        if not opencl_devices():
            self.skipTest("no OpenCL device")

    def test_doctor_and_bench_on_one(self):
        found = json.loads(self.expect(0, "doctor", "--json", "--device", "opencl:0"))
        self.assertEqual(found["manager"]["mode"], "opencl")
        device = found["devices"][0]
        self.assertEqual((device["id"], device["healthy"]), ("opencl:0", True))
        self.assertGreater(device["rates"]["launch_us"], 0)
        found = json.loads(self.expect(0, "bench", "device", "--json", "--device", "opencl:0"))
        self.assertGreater(found["devices"][0]["matmul_tflop_s"]["fp32"], 0)


if __name__ == "__main__":
    unittest.main()
