# SPDX-License-Identifier: Apache-2.0
"""Verbs, flags and settings: what is wrong is refused with exit code 2 and a hint, and nothing is done."""
import json
import unittest

from harness import VERBS, CliTest


class Verbs(CliTest):
    def test_without_a_verb_they_are_listed(self):
        self.expect(2, says=["Usage: eleanor VERB", *VERBS])

    def test_an_unknown_verb_gets_the_nearest(self):
        self.expect(2, "embd", says=['unknown verb "embd"', 'did you mean "embed"?'])
        self.expect(2, "xyzzyxyzzy", says=['unknown verb "xyzzyxyzzy"', "eleanor help"])
        self.expect(2, "help", "serv", says='did you mean "serve"?')

    def test_every_verb_has_help(self):
        for verb in VERBS:
            by_flag = self.expect(0, verb, "--help").decode()
            self.assertIn(f"Usage: eleanor {verb} ", by_flag)
            self.assertIn("--help", by_flag)
            self.assertEqual(by_flag, self.expect(0, verb, "-h").decode())
            self.assertEqual(by_flag, self.expect(0, "help", verb).decode())

    def test_help_and_version_as_flags(self):
        self.assertEqual(self.expect(0, "--help"), self.expect(0, "help"))
        self.assertEqual(self.expect(0, "--version"), self.expect(0, "version"))

    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "wb") as full:
            self.expect(1, "version", stdout=full, says="can't write to standard output: No space left on device")


class Flags(CliTest):
    def test_an_unknown_flag_gets_the_nearest(self):
        self.expect(2, "embed", "--formt", "npy", says=["unknown flag --formt", "did you mean --format?",
                                                        "eleanor embed --help"])
        self.expect(2, "serve", "--batch-token", "1", says="did you mean --batch-tokens?")
        self.expect(2, "embed", "-x", says="unknown flag -x")

    def test_a_missing_value_says_what_is_wanted(self):
        self.expect(2, "embed", "--format", says="--format needs a value: jsonl|npy|f32")
        self.expect(2, "embed", "-o", says="--output needs a value: FILE")

    def test_a_value_where_none_is_wanted(self):
        self.expect(2, "embed", "--whole=yes", says="--whole takes no value")

    def test_a_choice_is_one_of_those_named(self):
        self.expect(2, "embed", "--format", "json", says='"json" is not one of jsonl|npy|f32')
        self.expect(2, "embed", "--precision", "fp64", says='"fp64" is not one of auto|fp32|tf32|fp16|bf16|int8')

    def test_operands_are_counted(self):
        self.expect(2, "version", "extra", says="eleanor version --help")
        self.expect(2, "pull", says="NAME is missing")
        self.expect(2, "import", says="PATH is missing")

    def test_spellings_of_a_flag(self):
        for args in (["--port", "7"], ["--port=7"], ["--port", "1", "--port", "7"]):
            self.assertIn(b"port: 7  # from --port", self.expect(0, "serve", "--print-config", *args))
        for args in (["--max-body", "1MB"], ["--max_body=1MB"]):
            self.assertIn(b"max_body: 1000000  # from --max-body", self.expect(0, "serve", "--print-config", *args))
        self.assertIn(b"pin: true", self.expect(0, "serve", "--print-config", "--pin"))
        self.assertIn(b"pin: false", self.expect(0, "serve", "--print-config", "--pin=no"))

    def test_exclusive_flags_of_embed(self):
        self.expect(2, "embed", "--whole", "--field", "text", says="exclude each other")
        self.expect(2, "embed", "--model", "a", "--model", "b", says="--model may stand only once")


class Settings(CliTest):
    def test_precedence_and_origins(self):
        config = self.path("eleanor.yaml", "port: 1\nthreads: 1\nhost: 0.0.0.0\n")
        env = {"ELEANOR_PORT": "2", "ELEANOR_THREADS": "2"}
        printed = self.expect(0, "serve", "--print-config", "--config", config, "--port", "3", env=env).decode()
        self.assertIn("port: 3  # from --port\n", printed)
        self.assertIn("threads: 2  # from ELEANOR_THREADS\n", printed)
        self.assertIn(f'host: "0.0.0.0"  # from {config}:3\n', printed)
        self.assertIn("max_inputs: 2048  # default\n", printed)

    def test_printed_settings_as_json(self):
        printed = json.loads(self.expect(0, "serve", "--print-config", "--json", "--model", "a", "--model", "b"))
        self.assertEqual(printed["model"], {"value": ["a", "b"], "source": "flag", "place": "--model"})
        self.assertEqual(printed["port"]["source"], "default")

    def test_the_file_may_be_named_by_a_variable(self):
        config = self.path("eleanor.yaml", "port: 1\n")
        self.assertIn(b"port: 1 ", self.expect(0, "serve", "--print-config", env={"ELEANOR_CONFIG": config}))

    def test_secrets_are_not_printed(self):
        printed = self.expect(0, "serve", "--print-config", env={"ELEANOR_API_KEY": "hush-hush"})
        self.assertNotIn(b"hush", printed)
        self.assertIn(b'api_key: "***"  # from ELEANOR_API_KEY', printed)

    def test_a_bad_file_is_refused_with_its_line(self):
        for text, line, says in [("# x\nthread: 2\n", 2, ['unknown setting "thread"', "did you mean threads?"]),
                                 ("host: a\nport: x\n", 2, ['port: "x"', "from 0 to 65535"]),
                                 ("precision: fp23\n", 1, ["auto|fp32|tf32|fp16|bf16|int8", 'did you mean "fp32"?']),
                                 ("port: 1\nport: 2\n", 2, ["twice"])]:
            config = self.path("eleanor.yaml", text)
            self.expect(2, "serve", "--config", config, says=[f"{config}:{line}: ", *says])
            self.expect(2, "embed", "--config", config, "--text", "a", says=[f"{config}:{line}: ", *says])

    def test_a_bad_variable_is_refused(self):
        self.expect(2, "serve", env={"ELEANOR_THREAD": "1"}, says=["ELEANOR_THREAD", "did you mean ELEANOR_THREADS?"])
        self.expect(2, "serve", env={"MBED_DB_PATH": "/x"}, says=["MBED_DB_PATH", "not yet supported"])
        self.expect(0, "serve", "--print-config", env={"MBED_BATCH_SIZE": "128", "ELEANOR_MAX_BATCH_SIZE": "64"},
                    says="MBED_BATCH_SIZE is passed over: max_batch_size is 64 (ELEANOR_MAX_BATCH_SIZE)")
        self.expect(2, "serve", env={"ELEANOR_PORT": "70000"}, says=["ELEANOR_PORT", "from 0 to 65535"])

    def test_a_missing_file_is_named(self):
        self.expect(2, "serve", "--config", "/nonexistent.yaml", says="/nonexistent.yaml")


class Version(CliTest):
    def test_the_facts(self):
        facts = json.loads(self.expect(0, "version", "--json"))
        self.assertLessEqual({"version", "commit", "compiler", "simd", "simd_available", "processors", "libraries"},
                             set(facts))
        self.assertIn(facts["simd"], facts["simd_available"])
        self.assertIn("ref", facts["simd_available"])
        text = self.expect(0, "version").decode()
        self.assertIn(facts["version"], text)
        self.assertIn(facts["libraries"]["libcurl"], text)

    def test_the_instruction_set_can_be_chosen(self):
        facts = json.loads(self.expect(0, "version", "--json", env={"ELEANOR_SIMD": "ref"}))
        self.assertEqual(facts["simd"], "ref")
        self.expect(1, "version", env={"ELEANOR_SIMD": "mmx"}, says="ref")


if __name__ == "__main__":
    unittest.main()
