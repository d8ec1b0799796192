"""anvil as a process of its own: start it, find it again, stop it.

The process is not tied to an event loop, so that a devnet can outlive the server that plays on it (a crash test kills
the server, never the chain). What identifies a devnet is its folder, which holds `anvil.json`, `anvil.log` and states.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

import msgspec

from gamekit.errors import ChainUnavailable, ConfigInvalid

PACKAGES = Path(__file__).parents[1] / "contracts" / "node_modules"
"""Where npm put anvil in a checkout."""
START_S_MAX = 10.0
"""Longest wait for a new anvil to answer: 0.75 s with cold caches, 0.1 s with warm ones."""
STOP_S_MAX = 5.0
"""Longest wait for anvil to end by itself before it is killed."""
POLL_S = 0.01
"""How often a starting or ending process is looked at."""
STATES = "states"
"""Subfolder for the states that no longer fit into memory. anvil's own place is the user's home, where it
leaves them for ever: gigabytes in a long run."""
ACCOUNT_SEED = 20_260_901
"""Seed of anvil's unlocked accounts, so that they are not the well-known ones."""
_PR_SET_PDEATHSIG = 1
"""Source: linux/prctl.h."""
_LISTENING = "0A"
"""Source: linux/tcp_states.h, as /proc/net/tcp writes it."""


class AnvilSettings(msgspec.Struct, frozen=True):
    """How the node behaves. The defaults suit a test: every transaction is mined at once."""

    port: int = 0
    """Loopback port; 0 takes a free one."""
    chain_id: int = 31337
    block_time_s: float = 0.0
    """Seconds between blocks, fractions allowed; 0 mines one block per transaction, at once."""
    block_gas_limit: int = 1_000_000_000
    """Far above any real chain, so that the devnet is not what limits a load test."""
    transaction_gas_capped: bool = False
    """Enforce the 16,777,216 gas of EIP-7825 per transaction, as mainnet does."""
    base_fee_wei: int = 1_000_000_000
    """Base fee of the first block; it moves from there as on mainnet."""
    hardfork: str = "osaka"
    states_kept: int = 0
    """How many past states can be read; 0 keeps all. Few states keep a long load test's memory small."""
    transaction_blocks_kept: int = 0
    """For how many blocks receipts are kept; 0 keeps all."""
    code_size_capped: bool = True
    """Refuse contracts above 24,576 bytes, as real chains do."""


AUTOMINE: Final = AnvilSettings()
"""The defaults: a free port, and a block for each transaction."""


class Anvil:
    """One running anvil, started by this process or found again in its folder."""

    def __init__(
        self, folder: Path, pid: int, born: str | None, port: int, child: "subprocess.Popen[bytes] | None" = None
    ) -> None:
        self.folder = folder
        self.pid = pid
        self._born = born
        self.port = port
        self._child = child

    @property
    def url(self) -> str:
        """The JSON-RPC endpoint; the same port speaks websocket."""
        return f"http://127.0.0.1:{self.port}"

    @classmethod
    def start(cls, folder: Path, settings: AnvilSettings = AUTOMINE, *, detached: bool = False) -> "Anvil":
        """Start anvil and return when it answers.

        Args:
            folder: made if missing; an earlier devnet's files in it are overwritten.
            settings: how the node behaves.
            detached: survive this process and its terminal; otherwise the kernel ends anvil with its parent.

        Raises:
            ConfigInvalid: there is no anvil, or the folder's devnet is still running.
            ChainUnavailable: it ended at once or did not answer in time; the message carries its last words.
        """
        if cls.attach(folder) is not None:
            raise ConfigInvalid(f"a devnet is already running in {folder}", folder=str(folder))
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / STATES, ignore_errors=True)
        log = folder / "anvil.log"
        child = _spawn(_command(settings, folder / STATES), log, detached=detached)
        port = _await_answer(child)
        if port is None:
            _end(child)
            last_words = log.read_text(errors="replace").strip()[-500:]
            raise ChainUnavailable(f"anvil did not start on port {settings.port}: {last_words}", port=settings.port)
        born = _birth(child.pid)
        (folder / "anvil.json").write_text(json.dumps({"pid": child.pid, "born": born, "port": port}))
        return cls(folder, child.pid, born, port, child)

    @classmethod
    def attach(cls, folder: Path) -> "Anvil | None":
        """Find the devnet that runs in `folder`; None if there is none, or only what a dead one left."""
        try:
            noted = json.loads((folder / "anvil.json").read_text())
        except FileNotFoundError:
            return None
        found = cls(folder, noted["pid"], noted["born"], noted["port"])
        return found if found.is_running() else None

    def is_running(self) -> bool:
        """Whether the process lives and really is this anvil: process numbers are used again."""
        if self._child is not None and self._child.poll() is not None:
            return False
        return self._born is not None and _birth(self.pid) == self._born

    def stop(self) -> None:
        """End the process and forget it; does nothing if it has ended already."""
        if self._child is not None:
            _end(self._child)
        elif self.is_running():
            os.kill(self.pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_S_MAX
            while self.is_running():
                if time.monotonic() > deadline:
                    os.kill(self.pid, signal.SIGKILL)
                time.sleep(POLL_S)
        (self.folder / "anvil.json").unlink(missing_ok=True)
        shutil.rmtree(self.folder / STATES, ignore_errors=True)


def executable() -> Path:
    """Find anvil: the one that npm installed in this checkout, else one on PATH.

    Raises:
        ConfigInvalid: there is neither.
    """
    for path in PACKAGES.glob("@foundry-rs/anvil-*/bin/anvil"):
        return path
    on_path = shutil.which("anvil")
    if on_path is None:
        raise ConfigInvalid("there is no anvil: run `make setup` in a checkout, or put anvil on PATH")
    return Path(on_path)


def _command(settings: AnvilSettings, states: Path) -> list[str]:
    """Translate the settings into anvil's own words; old states go to the folder `states`."""
    options: dict[str, object] = {
        "--host": "127.0.0.1",
        "--port": settings.port,
        "--chain-id": settings.chain_id,
        "--hardfork": settings.hardfork,
        "--gas-limit": settings.block_gas_limit,
        "--block-base-fee-per-gas": settings.base_fee_wei,
        # safe and finalized are then one and two blocks below the head, instead of 32 and 64.
        "--slots-in-an-epoch": 1,
        "--mnemonic-seed-unsafe": ACCOUNT_SEED,
        "--balance": 1_000_000_000,
        "--cache-path": states,
    }
    if settings.block_time_s:
        options["--block-time"] = settings.block_time_s
    if settings.states_kept:
        options["--prune-history"] = settings.states_kept
    if settings.transaction_blocks_kept:
        options["--transaction-block-keeper"] = settings.transaction_blocks_kept
    flags = ["--quiet", "--no-request-size-limit"]
    if settings.transaction_gas_capped:
        flags.append("--enable-tx-gas-limit")
    if not settings.code_size_capped:
        flags.append("--disable-code-size-limit")
    return [str(executable()), *(str(word) for option in options.items() for word in option), *flags]


def _spawn(command: list[str], log: Path, *, detached: bool) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=detached,
            preexec_fn=None if detached else _end_with_parent,  # noqa: PLW1509 - the one call is safe after fork
        )


def _end_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends, however that happens."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _await_answer(child: "subprocess.Popen[bytes]") -> int | None:
    """Wait until the node answers and give its port; None when it has ended or time is up."""
    # A proxy that the environment names is not for the loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_S_MAX
    while child.poll() is None and time.monotonic() < deadline:
        port = _listening_port(child.pid)
        if port is not None:
            question = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'
            headers = {"content-type": "application/json"}
            try:
                with opener.open(urllib.request.Request(f"http://127.0.0.1:{port}", question, headers), timeout=1.0):
                    return port
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass  # it listens, but does not serve yet
        time.sleep(POLL_S)
    return None


def _listening_port(pid: int) -> int | None:
    """Find the port that this very process listens on; None before it does.

    Asking the kernel leaves no gap in which another program could take, or already have, the port that we meant.
    Source: proc(5), /proc/pid/net/tcp.
    """
    try:
        handles = {str(handle.readlink()) for handle in Path(f"/proc/{pid}/fd").iterdir()}
        rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    except OSError:
        return None  # it has ended, or a handle was closed while we looked
    for row in rows:
        if row[3] == _LISTENING and f"socket:[{row[9]}]" in handles:
            return int(row[1].rpartition(":")[2], 16)
    return None


def _birth(pid: int) -> str | None:
    """Give when a living process was started, in clock ticks since the machine started; None if it has ended.

    Source: proc(5), /proc/pid/stat: state and starttime, counted behind the program's name in parentheses.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in {"Z", "X"} else fields[19]


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    try:
        child.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
