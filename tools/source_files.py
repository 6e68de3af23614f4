# SPDX-License-Identifier: Apache-2.0
"""What the check scripts share: the files of the repository, C without comments, and the verdict."""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def repository_files():
    """Paths, relative to ROOT, of every file that git tracks or would track; all files where git is missing."""
    try:
        listed = subprocess.run(["git", "-C", ROOT, "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"],
                                capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        listed = []
        for folder, subfolders, names in os.walk(ROOT):
            subfolders[:] = [s for s in subfolders if not s.startswith((".git", "build"))]
            listed += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names]
    return sorted(path for path in set(listed) if os.path.isfile(os.path.join(ROOT, path)))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def strip_comments_and_strings(text):
    """C without comments, and with empty string literals; lines stay where they are."""
    pattern = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''

    def blank(match):
        found = match.group()
        if found[0] in "\"'":
            return found[0] * 2
        return "\n" * found.count("\n") or " "
    return re.sub(pattern, blank, text, flags=re.DOTALL)


def finish(problems):
    """Prints the problems and ends the script: 0 when there are none."""
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


def expect(caught, what):
    """A line of a self-test."""
    if not caught:
        sys.exit(f"self-test: {what}")
