"""anvil: started, found again, stopped, and never mistaken for another process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gamekit.chain.rpc import from_quantity
from gamekit.devnet.anvil import STATES, Anvil, AnvilSettings
from gamekit.devnet.node import DevnetNode
from gamekit.errors import ChainUnavailable, ConfigInvalid


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Anvil]:
    node = Anvil.start(tmp_path)
    yield node
    node.stop()


async def test_start_default_answers_with_the_chain_id(started: Anvil) -> None:
    async with DevnetNode(started.url) as node:
        assert from_quantity(await node.request(str, "eth_chainId")) == 31337


async def test_start_args_settings_reach_the_node(tmp_path: Path) -> None:
    settings = AnvilSettings(chain_id=4337, block_gas_limit=123_000_000, base_fee_wei=7)
    anvil = Anvil.start(tmp_path, settings)
    try:
        async with DevnetNode(anvil.url) as node:
            block = await node.request(dict[str, object], "eth_getBlockByNumber", "latest", False)
            assert from_quantity(await node.request(str, "eth_chainId")) == 4337
            assert (block["gasLimit"], block["baseFeePerGas"]) == (hex(123_000_000), hex(7))
    finally:
        anvil.stop()


async def test_start_behaviour_final_is_two_blocks_below_the_head(started: Anvil) -> None:
    async with DevnetNode(started.url) as node:
        await node.mine(5)
        final = await node.request(dict[str, object], "eth_getBlockByNumber", "finalized", False)
        assert final["number"] == hex(await node.block_number() - 2)


async def test_stop_behaviour_old_states_go_with_it(started: Anvil) -> None:
    async with DevnetNode(started.url) as node:
        await node.mine(600)  # more than it keeps in memory
    assert any((started.folder / STATES).iterdir())
    started.stop()
    assert not (started.folder / STATES).exists()


async def test_start_behaviour_states_of_a_killed_one_go(tmp_path: Path) -> None:
    (tmp_path / STATES / "old").mkdir(parents=True)
    anvil = Anvil.start(tmp_path)
    try:
        assert not (tmp_path / STATES / "old").exists()
    finally:
        anvil.stop()


def test_start_error_folder_already_runs_one(started: Anvil) -> None:
    with pytest.raises(ConfigInvalid, match="already running"):
        Anvil.start(started.folder)


def test_start_error_port_taken_names_the_port(started: Anvil, tmp_path: Path) -> None:
    with pytest.raises(ChainUnavailable, match=f"port {started.port}: .*already in use"):
        Anvil.start(tmp_path / "other", AnvilSettings(port=started.port))


def test_attach_default_finds_the_running_one(started: Anvil) -> None:
    found = Anvil.attach(started.folder)
    assert found is not None
    assert (found.pid, found.url) == (started.pid, started.url)


def test_attach_behaviour_nothing_in_an_empty_folder(tmp_path: Path) -> None:
    assert Anvil.attach(tmp_path) is None


def test_attach_behaviour_process_number_of_another_program(tmp_path: Path) -> None:
    (tmp_path / "anvil.json").write_text(json.dumps({"pid": os.getpid(), "born": "1", "port": 1}))
    assert Anvil.attach(tmp_path) is None


def test_attach_behaviour_process_number_of_nobody(tmp_path: Path) -> None:
    (tmp_path / "anvil.json").write_text(json.dumps({"pid": 2**22 + 1, "born": "1", "port": 1}))
    assert Anvil.attach(tmp_path) is None


def test_stop_behaviour_twice_is_once(started: Anvil) -> None:
    started.stop()
    started.stop()
    assert not started.is_running()


def test_stop_behaviour_by_another_process_than_the_starter(started: Anvil) -> None:
    found = Anvil.attach(started.folder)
    assert found is not None
    found.stop()
    assert not started.is_running()


@pytest.mark.parametrize("detached", [True, False])
def test_start_behaviour_only_a_detached_one_survives_its_parent(tmp_path: Path, detached: bool) -> None:
    program = f"""
import os, signal
from pathlib import Path
from gamekit.devnet.anvil import Anvil
Anvil.start(Path({str(tmp_path)!r}), detached={detached})
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False, timeout=30)
    found = Anvil.attach(tmp_path)
    until = time.monotonic() + 10
    while found is not None and not detached and time.monotonic() < until:
        # The kernel tells it of its parent's end; on a busy machine it goes a moment later.
        time.sleep(0.01)
        found = Anvil.attach(tmp_path)
    if found is not None:
        found.stop()
    assert (found is not None) is detached
