"""What the operating system can do for a process that opens keys. Linux."""

import ctypes
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4
"""Source: Linux, include/uapi/linux/prctl.h."""


def harden_process() -> tuple[str, ...]:
    """Keep the memory of this process to itself: no core files, and no debugger of the same user.

    Call it once, before keys are opened, and fork nothing afterwards.

    Returns: what the system refused, each in words; empty when all of it is in force.
    """
    refused: list[str] = []
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        refused.append(f"core files stay possible: {error}")
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        refused.append(f"other processes of this user may read its memory: errno {ctypes.get_errno()}")
    return tuple(refused)
