"""`gamekit devnet`: a chain of one's own with everything deployed, and a configuration that plays on it."""

import asyncio
import signal
import sys
from pathlib import Path

from gamekit.demo.stage import BASE_FEE_WEI, set_stage
from gamekit.devnet import Anvil, AnvilSettings


def run(folder: Path, block_time_s: float, port: int, server_port: int) -> None:
    """Start, deploy, write `gamekit.toml`, and stay until interrupted.

    Raises: ConfigInvalid when there is no anvil, or the folder's devnet is running already; ChainError.
    """
    anvil = Anvil.start(folder, AnvilSettings(port=port, block_time_s=block_time_s, base_fee_wei=BASE_FEE_WEI))
    try:
        stage = asyncio.run(set_stage(folder, anvil.url, ["player"], server_port))
        sys.stdout.write(
            f"devnet at {anvil.url}, a block every {block_time_s} s\n"
            f"gamekit serve --config {stage.config} --tokens {folder / 'tokens.json'}\n"
        )
        sys.stdout.flush()
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    finally:
        anvil.stop()
