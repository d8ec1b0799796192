"""Starts the real server again and again: everything is imported once, then each start is a fork that runs `serve`.

Run: python -m tests.campaigns.launcher --log FILE [--plant NAME] serve --config …

A line on standard input starts a server; its process id is the answer. When one ends, a line says `ended PID STATUS`,
the status negative for a signal. With `--plant`, the bug of that name is put into the runtime before anything runs:
production code knows nothing of it. Ends, together with the server, when its standard input does.
"""

import argparse
import ctypes
import os
import select
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gamekit.cli import main as command_line
from gamekit.commands import serve
from tests.campaigns import plants

POLL_S: Final = 0.02
IMPORTED: Final = (serve,)
"""What every fork finds in memory: the command line would import it only then."""
_PR_SET_PDEATHSIG: Final = 1
"""Source: linux/prctl.h."""


def main() -> None:
    """Serve the driver's requests until it goes away."""
    parser = argparse.ArgumentParser(description="Fork servers on request.")
    parser.add_argument("--log", type=Path, required=True, help="where the servers write to")
    parser.add_argument("--plant", default="", choices=["", *plants.PLANTS])
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.plant:
        plants.PLANTS[options.plant].apply()
    running = 0
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], POLL_S)
        if readable:
            if not sys.stdin.readline():
                break
            running = _fork(options.command, options.log)
            _say(str(running))
        running = _reap(running)
    if running:
        os.kill(running, signal.SIGKILL)
        os.waitpid(running, 0)


def _reap(running: int) -> int:
    """Tell of a server that ended; gives the one that still runs."""
    if not running:
        return 0
    pid, status = os.waitpid(running, os.WNOHANG)
    if pid:
        _say(f"ended {pid} {os.waitstatus_to_exitcode(status)}")
    return 0 if pid else running


def _fork(command: Sequence[str], log: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        command_line(list(command))
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
