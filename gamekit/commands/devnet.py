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
    # SIGTERM becomes an exception, so that the chain, a process of its own, is ended in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    anvil = Anvil.start(folder, AnvilSettings(port=port, block_time_s=block_time_s, base_fee_wei=BASE_FEE_WEI))
    try:
        stage = asyncio.run(set_stage(folder, anvil.url, ["player"], server_port))
        sys.stdout.write(
            f"devnet at {anvil.url}, a block every {block_time_s} s\n"
            f"gamekit serve --config {stage.config} --tokens {folder / 'tokens.json'}\n"
        )
        sys.stdout.flush()
        while True:
            signal.pause()
    finally:
        anvil.stop()
