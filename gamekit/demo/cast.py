"""The demo's processes: start, watch, measure, end each by its own id."""

import asyncio
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gamekit.demo.stage import Stage
from gamekit.errors import ChainUnavailable

START_S_MAX: Final = 30.0
STOP_S_MAX: Final = 20.0
POLL_S: Final = 0.05
PID_FILE: Final = "server.pid"
"""Beside the configuration: whom to kill, to see what happens."""
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class ServerProcess:
    """`gamekit serve` as a process of its own, which may be killed and started again on the same journal."""

    def __init__(self, stage: Stage, leak: Path) -> None:
        self._stage = stage
        self._command = (
            *(sys.executable, "-m", "gamekit.cli", "serve", "--config", str(stage.config)),
            *("--tokens", str(stage.folder / "tokens.json"), "--demo-leak", str(leak)),
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._cpu_before = 0.0
        self.starts = 0
        """How often it was started: once, and once more for each time that it was killed."""
        self._starting = asyncio.Lock()

    @property
    def has_ended(self) -> bool:
        """Whether it was started and is gone, by nobody's order: somebody killed it, or it stopped by itself."""
        return self._process is not None and self._process.poll() is not None

    async def start(self) -> None:
        """Start, and wait until players are taken; while it runs there is nothing to do.

        Raises: ChainUnavailable with the server's last words.
        """
        async with self._starting:
            while self._process is None or self.has_ended:
                await self._start()

    async def _start(self) -> None:
        """Start once. Who is killed meanwhile was not refused anything: that is no failure, and no server either."""
        log = self._stage.folder / "server.log"
        process = self._process = self._spawn(log)
        self.starts += 1
        health = f"http://127.0.0.1:{self._stage.port}/play/health"
        deadline = asyncio.get_running_loop().time() + START_S_MAX
        while not await asyncio.to_thread(_answers, health):
            if process.poll() == -signal.SIGKILL:
                return
            if process.poll() is not None or asyncio.get_running_loop().time() > deadline:
                words = log.read_text(errors="replace").strip()[-1000:]
                raise ChainUnavailable(f"the server did not start: {words}")
            await asyncio.sleep(POLL_S)

    def _spawn(self, log: Path) -> "subprocess.Popen[bytes]":
        with log.open("ab") as output:
            process = subprocess.Popen(self._command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        (self._stage.folder / PID_FILE).write_text(str(process.pid))
        return process

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._cpu_before = self.cpu_s()
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._cpu_before = self.cpu_s()
            self._process.terminate()
            try:
                self._process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def cpu_s(self) -> float:
        """Seconds of CPU that it has used, over all its starts."""
        return self._cpu_before + (cpu_s(self._process.pid) if self._process is not None else 0.0)


async def run_python(stage: Stage, name: str, arguments: Sequence[str]) -> int:
    """Run a module of the demo to its end; what it says goes into a log beside the configuration."""
    log = stage.folder / f"{name}.log"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=output, stderr=output)
        return await process.wait()


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a living process has used. Source: proc(5), /proc/pid/stat, utime and stime."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _answers(url: str) -> bool:
    # A proxy that the environment names is not for the loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2.0) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
