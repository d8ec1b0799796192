"""The operating system's help, asked for in a process of its own: it cannot be taken back."""

import subprocess
import sys

SCRIPT = """
import ctypes, resource
from gamekit.keys import harden_process
print(harden_process(), resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def test_harden_process_default() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "() (0, 0) 0"
