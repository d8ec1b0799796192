"""What an account has let the game's contract take is said before its owner agrees, from the chain as it is."""

from pathlib import Path

import pytest

from gamekit.chain.rpc import to_data
from gamekit.demo.stage import set_stage
from gamekit.devnet import Anvil, DevnetNode
from gamekit.eth.hashing import checksum_address
from gamekit.eth.interface import Function
from gamekit.kit import GameKit
from gamekit.units import Address, PlayerId, Wei
from tests.accounts.test_through_the_kit import Owner

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

APPROVE = Function.parse("approve(address spender,uint256 amount)", "bool")
APPROVE_ALL = Function.parse("setApprovalForAll(address operator,bool approved)")


async def send(node: DevnetNode, sender: Address, to: Address, data: bytes) -> None:
    await node.set_balance(sender, Wei(10**18))
    await node.request_optional(object, "anvil_impersonateAccount", to_data(sender))
    await node.require_success(await node.send(sender, to, data, gas=200_000))


@pytest.mark.parametrize("named", [True, False], ids=["tokens of the manifest", "found by their logs"])
async def test_approvals_are_said_as_they_are_now(anvil: Anvil, tmp_path: Path, named: bool) -> None:
    stage, owner = await set_stage(tmp_path, anvil.url, []), Owner()
    gold, item, arena = stage.contracts.gold, stage.contracts.item, stage.contracts.arena
    if named:
        text = (tmp_path / "arena.toml").read_text()
        tokens = f'tokens = ["{checksum_address(gold)}", "{checksum_address(item)}"]\n'
        (tmp_path / "arena.toml").write_text(text.replace("chain_id =", f"{tokens}chain_id =", 1))

    async with GameKit.from_config(stage.config) as kit, DevnetNode(stage.url) as node:

        async def told() -> list[str]:
            request = await kit.propose(PlayerId("ada"), "arena", "play_match", owner.address)
            part = request.explanation.split("Not enforced on chain:")[1]
            return [line for line in part.splitlines() if "has let it take" in line]

        account = (await kit.propose(PlayerId("ada"), "arena", "play_match", owner.address)).account
        assert await told() == []
        await send(node, account, gold, APPROVE.encode_call(arena, 1_234))
        await send(node, account, item, APPROVE_ALL.encode_call(arena, True))
        let = f"  - That {checksum_address(arena)} leaves alone what it may take: your account has let it take "
        assert await told() == [
            f"{let}1,234 of {checksum_address(gold)}, in that token's smallest units.",
            f"{let}every item that it has of {checksum_address(item)}.",
        ]
        await send(node, account, gold, APPROVE.encode_call(arena, 2**256 - 1))
        await send(node, account, item, APPROVE_ALL.encode_call(arena, False))
        assert await told() == [f"{let}everything that it has of {checksum_address(gold)}, without limit."]
        await send(node, account, gold, APPROVE.encode_call(arena, 0))
        await send(node, account, gold, APPROVE.encode_call(owner.address, 5))
        assert await told() == [], "what is let to somebody else is not the game's"
