# SPDX-License-Identifier: Apache-2.0
"""What the suites of more than one folder share."""
import importlib.util
import os
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
VENV_PYTHON = os.path.join(os.environ.get("HTTP_VENV", os.path.join(ROOT, "build", "venv")), "bin", "python")
SKIPPED = 77  # the exit code


def real_model():
    """The folder of all-MiniLM-L6-v2: what ELEANOR_TEST_MODEL names, else where ./run puts it; None without it."""
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    home = os.environ.get("ELEANOR_HOME") or os.path.join(data, "eleanor")
    path = os.environ.get("ELEANOR_TEST_MODEL") or os.path.join(home, "models", "all-MiniLM-L6-v2")
    return path if os.path.exists(os.path.join(path, "config.json")) else None


def need_venv(module):
    """Goes on in build/venv's Python when this one lacks `module`; skips loudly when that does too."""
    if importlib.util.find_spec(module):
        return
    if os.path.exists(VENV_PYTHON) and sys.executable != VENV_PYTHON:
        os.execv(VENV_PYTHON, [VENV_PYTHON, *sys.argv])
    print(f"SKIPPED: the Python package {module} is not here; tools/make-venv build/venv installs it")
    sys.exit(SKIPPED)
