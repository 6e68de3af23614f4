# SPDX-License-Identifier: Apache-2.0
"""What the suites of more than one folder share."""
import os


def real_model():
    """The folder of all-MiniLM-L6-v2: what ELEANOR_TEST_MODEL names, else where ./run puts it; None without it."""
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    home = os.environ.get("ELEANOR_HOME") or os.path.join(data, "eleanor")
    path = os.environ.get("ELEANOR_TEST_MODEL") or os.path.join(home, "models", "all-MiniLM-L6-v2")
    return path if os.path.exists(os.path.join(path, "config.json")) else None
