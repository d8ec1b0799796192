"""What simulated worlds share to be quick: a loop, a folder, keys; and the configuration that most of them have."""

import itertools
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gamekit.config import BatchConfig, Config, RelayConfig
from gamekit.core.game import Game
from gamekit.keys.signer import LocalSigner
from gamekit.store import writer
from gamekit.testing.life import owned
from gamekit.testing.loop import VirtualLoop
from gamekit.testing.scenery import Keys, arena, chain_config, config

LOG_PAGES_MAX = 100
"""Pages in the journal's log after which it is copied: few, so that short lives see it happen."""


def settings(**sections: Any) -> Config:  # noqa: ANN401
    """A configuration for short lives: quick deadlines, a head that is read three times a second."""
    plain = {
        "chain": chain_config(poll_ms=300, included_depth=1),
        "batch": BatchConfig(calls_max=4, deadline_s=24, resign_below_s=8),
        "relay": RelayConfig(replace_after_blocks=2),
    }
    return config(**plain | sections)


FOLDER = "gamekit-world-"
"""How the name of a simulator's folder begins; its process's number follows."""
OLD_S = 3600


def sweep(shared: Path, processes: Path, now: float) -> None:
    """Remove the folders of simulators that were killed: they would stay in memory until the machine restarts.

    Args:
        shared: where the folders are.
        processes: has one entry for each process that lives.
        now: wall clock; what another container may still use is younger than an hour.
    """
    for folder in shared.glob(f"{FOLDER}*"):
        number = folder.name.removeprefix(FOLDER).partition("-")[0]
        is_alive = (processes / number).exists() or not (processes / "self").exists()
        if number.isdecimal() and not is_alive and now - folder.stat().st_mtime > OLD_S:
            shutil.rmtree(folder, ignore_errors=True)


class Workshop:
    """What worlds share to be quick: a loop, a folder, keys. One at a time uses it."""

    def __init__(self) -> None:
        shared = Path("/dev/shm")  # noqa: S108 - not a temporary file's name: the memory disk, if there is one
        if shared.is_dir():
            sweep(shared, Path("/proc"), time.time())
        prefix = f"{FOLDER}{os.getpid()}-"
        self.folder = Path(tempfile.mkdtemp(prefix=prefix, dir=shared if shared.is_dir() else None))
        self.loop = VirtualLoop()
        self.loop.set_task_factory(owned)
        self.secrets: list[bytes] = []
        """Every key and nonce that was made for the present world."""
        self._chance = random.Random(0)
        self.keys = Keys.make(self.folder, relayers=2, fill=self._fill)
        self.signer = LocalSigner(self.keys.keystore)
        self.games: tuple[Game, ...] = (arena(),)
        self._count = itertools.count()
        self._log_pages, writer.WAL_PAGES_MAX = writer.WAL_PAGES_MAX, LOG_PAGES_MAX  # type: ignore[misc]

    def _fill(self, buffer: bytearray) -> None:
        buffer[:] = self._chance.randbytes(len(buffer))
        self.secrets.append(bytes(buffer))

    def seed(self, seed: str) -> None:
        """Begin a new world."""
        self._chance = random.Random(f"{seed}/keys")
        self.secrets.clear()

    def new_folder(self) -> Path:
        """An empty folder for one world's disk."""
        folder = self.folder / f"world{next(self._count)}"
        folder.mkdir()
        return folder

    def close(self) -> None:
        """Remove everything."""
        self.loop.close()
        writer.WAL_PAGES_MAX = self._log_pages  # type: ignore[misc]
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def workshop() -> Iterator[Workshop]:
    """Lend a workshop."""
    shop = Workshop()
    try:
        yield shop
    finally:
        shop.close()
