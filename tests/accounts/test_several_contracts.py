"""A game of two contracts with ten functions each on a real chain, through the whole kit: a list by its root."""

import json
from pathlib import Path

import pytest

from gamekit.chain.rpc import to_data
from gamekit.core.action import ActionRequest
from gamekit.demo.stage import set_stage
from gamekit.devnet import Anvil, DevnetNode, deposit
from gamekit.errors import GamekitError
from gamekit.eth.scope_form import ScopeForm
from gamekit.kit import GameKit
from gamekit.units import PlayerId, Wei
from tests.accounts.test_through_the_kit import Owner
from tests.core.towns import BANK, TOWN, abi, keys, manifest, town

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TELLS = bytes.fromhex("5f3560e01c5f5fa100")
"""A contract that takes every call, and logs its selector."""


async def test_entries_of_two_contracts_land_in_one_session(anvil: Anvil, tmp_path: Path) -> None:
    stage, owner = await set_stage(tmp_path, anvil.url, []), Owner()
    (tmp_path / "town.toml").write_text(manifest())
    for name in ("town", "bank"):
        (tmp_path / f"{name}.json").write_text(json.dumps(abi(name)))
    stage.config.write_text(stage.config.read_text().replace('["arena.toml"]', '["town.toml"]'))
    async with DevnetNode(stage.url) as node:
        for target in (TOWN, BANK):
            await node.set_code(target, TELLS)
        async with GameKit.from_config(stage.config) as kit:
            request = await kit.propose(PlayerId("ada"), "town", "all", owner.address)
            shown = request.typed_data.message["allowedCalls"]
            assert isinstance(shown, list)
            assert len(shown) == 20
            session = await kit.open(request.permission_id, owner.sign_typed_data(request.typed_data))
            await session.opened(timeout=20)
            assert len(ScopeForm(session.row.scope).signed) == 224, "a root stands for the list"
            await deposit(node, session.row.entry_point, [request.account], Wei(10**18))
            first = await node.block_number()
            asked = [ActionRequest(key, key, (place,)) for place, key in enumerate(keys())]
            outcomes = []
            for answer in await kit.accept(session.permission_id, asked):
                assert not isinstance(answer, GamekitError), answer
                outcomes.append(await kit.handle(answer.key, answer.action_id).settled(30))
            assert {each.state for each in outcomes} == {"ok"}
            wanted = {"fromBlock": hex(first), "address": [to_data(TOWN), to_data(BANK)]}
            logs = await node.request(list[dict[str, object]], "eth_getLogs", wanted)
    told = [(each["address"], each["topics"][0][-8:]) for each in logs]  # type: ignore[index]
    functions = town().functions
    assert told == [(to_data(functions[key].target), functions[key].function.selector.hex()) for key in keys()]
