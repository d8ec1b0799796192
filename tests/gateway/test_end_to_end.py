"""A player's wallet, client, gateway, kit and chain, all real: log in, grant, play, hear the outcome, revoke."""

from pathlib import Path

import coincurve
import pytest
from eth_account import Account as Wallet

from gamekit.client.game_client import GameClient
from gamekit.client.login import by_wallet
from gamekit.config import load
from gamekit.demo.stage import set_stage
from gamekit.devnet import Anvil, DevnetNode, deposit
from gamekit.errors import ActionInvalid, SessionRevoked
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.signature import public_key_address
from gamekit.gateway.app import Gateway
from gamekit.gateway.kit_backend import KitBackend
from gamekit.gateway.serve import Server
from gamekit.kit import GameKit
from gamekit.protocol.events import SessionOpened
from gamekit.protocol.login import personal_hash
from gamekit.protocol.messages import ActionRequest
from gamekit.units import Address, ChainId, Wei

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


class Owner:
    """A player's wallet."""

    def __init__(self) -> None:
        self._key = coincurve.PrivateKey()
        self.address = public_key_address(self._key.public_key.format(compressed=False))

    async def sign_text(self, text: str) -> bytes:
        signature = self._key.sign_recoverable(personal_hash(text), hasher=None)
        return signature[:64] + bytes((signature[64] + 27,))

    def sign_typed_data(self, payload: dict[str, object]) -> bytes:
        return bytes(Wallet.sign_typed_data(self._key.secret, full_message=payload).signature)


async def open_session(client: GameClient, owner: Owner, node: DevnetNode) -> bytes:
    """Let the wallet grant a session; gives its permission id once it plays."""
    proposed = await client.propose("arena", "play_match", owner.address, stack="nexus")
    entry_point = EntryPointVersion("0.7").canonical_address
    await deposit(node, entry_point, [Address(bytes(proposed.account))], Wei(10**18))
    events = client.events()
    opened = None
    await client.open(proposed.request_id, owner.sign_typed_data(proposed.payload))
    while not isinstance(opened, SessionOpened):
        opened = await anext(events)
    assert opened.permission_id == proposed.permission_id
    return bytes(proposed.permission_id)


async def test_a_player_plays(anvil: Anvil, tmp_path: Path) -> None:
    stage = await set_stage(tmp_path, anvil.url, [])
    config = load(stage.config)
    owner = Owner()
    async with GameKit.from_config(stage.config) as kit, DevnetNode(anvil.url) as node:
        gateway = Gateway(KitBackend(kit), config.gateway, ChainId(config.chain.chain_id))
        async with (
            Server(gateway) as server,
            GameClient(f"ws://127.0.0.1:{server.port}/play", by_wallet(owner.address, owner.sign_text)) as client,
        ):
            permission_id = await open_session(client, owner, node)
            requests = [ActionRequest(f"k{place}", "attack", [place + 1, place]) for place in range(5)]
            handles = await client.act_many(permission_id, [*requests, ActionRequest("no", "withdraw", [1])])
            assert isinstance(handles[-1], ActionInvalid)
            outcomes = [await handle.settled(20) for handle in handles if not isinstance(handle, Exception)]
            assert [outcome.ok for outcome in outcomes] == [False, True, True, True, True]
            assert outcomes[0].error.startswith("NoStamina(strength=0")
            assert len({outcome.user_op_hash for outcome in outcomes}) == 1, "one frame, one operation"
            again = await client.act(permission_id, "attack", [2, 1], key="k1")
            assert again.action_id == handles[1].action_id  # type: ignore[union-attr]
            await client.revoke(permission_id)
            with pytest.raises(SessionRevoked):
                await client.act(permission_id, "move", [1, 1])
