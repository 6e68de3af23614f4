# SPDX-License-Identifier: Apache-2.0
"""doctor and bench device: on a machine without drivers, on PoCL, on machines that are not there."""
import json
import os
import subprocess
import unittest

from harness import BINARY, BUILD, ROOT, SANITIZER, TIMEOUT, WITH_MACHINE, CliTest

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
