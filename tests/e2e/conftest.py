"""Whole programs in processes of their own, on a devnet."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OUTPUT_S_MAX = 60.0


@pytest.fixture(scope="session")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A devnet started from the command line; gives the configuration that plays on it."""
    folder = tmp_path_factory.mktemp("devnet")
    command = [sys.executable, "-m", "gamekit.cli", "devnet", "--folder", str(folder)]
    process = subprocess.Popen([*command, "--port", "0", "--server-port", "0"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "devnet at" in process.stdout.readline()
    yield folder / "gamekit.toml"
    process.send_signal(signal.SIGTERM)
    assert process.wait(OUTPUT_S_MAX) == 130
    process.stdout.close()


def run(*command: str, timeout_s: float = OUTPUT_S_MAX) -> "subprocess.CompletedProcess[str]":
    """Run a Python program of ours to its end."""
    environment = {**os.environ, "PYTHONWARNINGS": "error::ResourceWarning"}
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=ROOT,
        env=environment,
        check=False,
    )
