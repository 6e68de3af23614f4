# SPDX-License-Identifier: Apache-2.0
"""get_info of requirement 4 in `doctor --json`: its names, on the processor and on a GPU, and the batch it would take."""
import os
import unittest

from harness import ModelTest
from test_devices import FAKE_DRIVERS, FAKES, DeviceTest

NAMES = """backend model embedding_dim batch_size max_batch_size dynamic_batching mixed_precision multi_gpu pinned_memory
faiss_gpu oom_count gpu_name gpu_count vram_gb vram_used_gb vram_reserved_gb cuda_version compute_capability
multi_processor_count gpu_utilization gpu_temperature current_batch_size""".split()


@unittest.skipUnless(os.path.isdir(FAKES), "this build has no machines")
class Info(DeviceTest, ModelTest):
    def test_the_processor_and_a_damaged_file_of_tuned_sizes(self):
        self.path("tuned.json", "{")
        found = self.doctor("none", "--model", self.model)
        info = found["info"]
        self.assertEqual([name for name in NAMES if name not in info], [])
        self.assertEqual((info["backend"], info["embedding_dim"], info["gpu_count"]), ("cpu", 64, 0))
        self.assertEqual((info["batch_tokens"], info["batch_source"], info["oom_count"]), (128, "default", 0))
        for name in ("gpu_name", "vram_gb", "vram_used_gb", "cuda_version", "gpu_temperature"):
            self.assertIsNone(info[name], name)
        self.assertIn("tuned.json:1:1: invalid JSON", "\n".join(self.checks(found, "WARN")))

    @unittest.skipUnless(FAKE_DRIVERS, "this build has no CUDA driver that is not there")
    def test_a_gpu(self):
        info = self.doctor("rtx4090", "--model", self.model, env={"MBED_CUDA_VRAM_RESERVED_GB": "23.5"})["info"]
        self.assertEqual((info["backend"], info["gpu_count"]), ("cuda", 1))
        self.assertEqual((info["gpu_name"], info["compute_capability"]), ("NVIDIA GeForce RTX 4090", "8.9"))
        self.assertEqual((info["multi_processor_count"], info["cuda_version"]), (128, "12.4"))
        self.assertAlmostEqual(info["vram_gb"], 24564 / 1024, 3)
        self.assertGreater(info["vram_used_gb"], 0)
        # (24564 MiB - 23.5 GB) * 128; 48 tokens is the longest text of the tiny model, four streams.
        self.assertEqual((info["batch_size"], info["max_batch_size"], info["batch_tokens"]), (62, 62, 62 * 48 // 4))
        self.assertEqual(info["batch_source"], "formula")
        chosen = self.doctor("rtx4090", "--model", self.model,
                             env={"MBED_BATCH_SIZE": "256", "MBED_MIXED_PRECISION": "false"})["info"]
        self.assertEqual((chosen["batch_size"], chosen["batch_source"], chosen["mixed_precision"]), (256, "set", False))


if __name__ == "__main__":
    unittest.main()
