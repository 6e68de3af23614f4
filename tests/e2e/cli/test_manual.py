# SPDX-License-Identifier: Apache-2.0
"""The manual and the completions know every flag that --help knows, and no other."""
import os
import re
import shutil
import subprocess
import unittest

from harness import ROOT, VERBS, CliTest

PAGES = os.path.join(ROOT, "share", "man")


class ManualTest(CliTest):
    def flags(self, verb):
        help_text = self.expect(0, verb, "--help").decode()
        flags = set(re.findall(r"^  (?:-\w, |    )--([a-z-]+)", help_text, re.MULTILINE))
        self.assertIn("help", flags)
        return flags


class Manual(ManualTest):
    def test_the_pages_list_the_flags_of_help(self):
        for verb in VERBS:
            with open(os.path.join(PAGES, f"eleanor-{verb}.1"), encoding="utf-8") as file:
                items = re.findall(r"^\.It .*", file.read(), re.MULTILINE)
            listed = set(re.findall(r"Fl -([a-z-]+)", "\n".join(items)))
            self.assertEqual(listed, self.flags(verb), verb)

    def test_the_first_page_names_all_verbs(self):
        with open(os.path.join(PAGES, "eleanor.1"), encoding="utf-8") as file:
            page = file.read()
        for verb in VERBS:
            self.assertIn(f".Xr eleanor-{verb} 1", page)

    @unittest.skipUnless(shutil.which("mandoc"), "mandoc is not installed")
    def test_mandoc_finds_no_fault(self):
        for page in sorted(os.listdir(PAGES)):
            result = subprocess.run(["mandoc", "-Tlint", "-Wwarning", os.path.join(PAGES, page)], check=False,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual((result.returncode, result.stdout), (0, ""))


class Completions(ManualTest):
    def test_every_shell_knows_every_flag(self):
        scripts = {shell: self.expect(0, "help", "--completion", shell).decode() for shell in ("bash", "zsh", "fish")}
        for verb in VERBS:
            for flag in self.flags(verb):
                self.assertRegex(scripts["bash"], rf"\n    {verb}\) flags='[^']*--{flag}[ ']")
                self.assertRegex(scripts["zsh"], rf"'\*--{flag}[=\[]")
                self.assertRegex(scripts["fish"], rf"from {verb}' -l {flag} ")

    def complete(self, *words):
        """What bash offers for the last of the words."""
        script = self.path("completion.bash", self.expect(0, "help", "--completion", "bash"))
        quoted = " ".join(f"'{word}'" for word in words)
        return subprocess.run(
            ["bash", "-c", f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _eleanor; "
             'printf "%s\\n" "${COMPREPLY[@]}"'], stdout=subprocess.PIPE, check=True, text=True).stdout.split()

    def test_bash_completes(self):
        self.assertEqual(self.complete("eleanor", "em"), ["embed"])
        self.assertEqual(self.complete("eleanor", "embed", "--form"), ["--format"])
        self.assertEqual(self.complete("eleanor", "embed", "--format", ""), ["jsonl", "npy", "f32"])
        self.assertEqual(self.complete("eleanor", "serve", "--max-bo"), ["--max-body"])
        readme = self.path("abc.txt", "")
        self.assertEqual(self.complete("eleanor", "embed", readme[:-3]), [readme])

    def test_other_shells_accept_their_script(self):
        for shell in ("zsh", "fish"):
            if shutil.which(shell):
                script = self.path("completion", self.expect(0, "help", "--completion", shell))
                subprocess.run([shell, "-n", script], check=True)


if __name__ == "__main__":
    unittest.main()
