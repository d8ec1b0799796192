"""A session on every stack through the whole kit: proposed, granted, played, settled with its reasons, revoked."""

import asyncio
from pathlib import Path

import coincurve
import msgspec
import pytest
from eth_account import Account as Wallet
from msgspec.structs import replace

from gamekit.chain.rpc import to_data
from gamekit.core.action import ActionRequest
from gamekit.demo.stage import Stage, set_stage
from gamekit.devnet import Anvil, DevnetNode, deposit, fund
from gamekit.errors import AuthorizationSpent, GamekitError, SessionRevoked
from gamekit.eth.hashing import selector
from gamekit.eth.signature import public_key_address
from gamekit.eth.transaction import (
    Authorization,
    SignedAuthorization,
    Transaction,
    authorization_hash,
    signing_hash,
    with_signature,
)
from gamekit.kit import GameKit
from gamekit.units import Address, Cursor, Gas, Hash32, PlayerId, Wei

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ADA = PlayerId("ada")


class Owner:
    """A player's wallet."""

    def __init__(self) -> None:
        self._key = coincurve.PrivateKey()
        self.address = public_key_address(self._key.public_key.format(compressed=False))

    def sign_typed_data(self, typed_data: object) -> bytes:
        shown = msgspec.to_builtins(typed_data)
        return bytes(Wallet.sign_typed_data(self._key.secret, full_message=shown).signature)

    def sign(self, digest: Hash32) -> bytes:
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes((signature[64] + 27,))

    def authorize(self, wanted: Authorization | None) -> SignedAuthorization | None:
        return None if wanted is None else SignedAuthorization(wanted, self.sign(authorization_hash(wanted)))


@pytest.mark.parametrize("stack", ["reference", "nexus", "safe7579", "reference_7702"])
async def test_on_a_chain_with_a_cap_on_code(anvil: Anvil, tmp_path: Path, stack: str) -> None:
    stage = await set_stage(tmp_path, anvil.url, [])
    await _play(stage, stack)


async def test_kernel(uncapped_anvil: Anvil, tmp_path: Path) -> None:
    stage = await set_stage(tmp_path, uncapped_anvil.url, [], code_size_capped=False)
    await _play(stage, "kernel")


async def _play(stage: Stage, stack: str) -> None:
    owner = Owner()
    async with GameKit.from_config(stage.config) as kit, DevnetNode(stage.url) as node:
        request = await kit.propose(ADA, "arena", "play_match", owner.address, stack=stack)
        assert request.readable == (stack != "kernel")
        assert (request.authorization is not None) == (stack == "reference_7702"), (
            "an address that is new delegates first"
        )
        session = await kit.open(
            request.permission_id, owner.sign_typed_data(request.typed_data), owner.authorize(request.authorization)
        )
        await session.opened(timeout=20)
        await deposit(node, session.row.entry_point, [request.account], Wei(10**18))
        strengths = [10, 101, 20]
        requests = [
            ActionRequest(f"k{place}", "attack", {"target": 7, "strength": strength})
            for place, strength in enumerate(strengths)
        ]
        accepted = [
            answer
            for answer in await kit.accept(session.permission_id, requests)
            if not isinstance(answer, GamekitError)
        ]
        outcomes = [await kit.handle(each.key, each.action_id).settled(20) for each in accepted]
        assert [each.state for each in outcomes] == ["ok", "reverted", "ok"]
        assert outcomes[1].reason.startswith("NoStamina(strength=101")
        assert len({each.user_op_hash for each in outcomes}) == 1, "one operation"
        await session.revoke()
        with pytest.raises(SessionRevoked):
            await session.act("attack", [7, 1], key="late")


async def test_a_newcomer_who_is_overtaken_plays_all_the_same(anvil: Anvil, tmp_path: Path) -> None:
    """Somebody takes the authorization out of the pool, submits it first, and initialises the address."""
    stage, owner = await set_stage(tmp_path, anvil.url, []), Owner()
    async with GameKit.from_config(stage.config) as kit, DevnetNode(stage.url) as node:
        request = await kit.propose(ADA, "arena", "play_match", owner.address, stack="reference_7702")
        signed = owner.authorize(request.authorization)
        assert signed is not None
        await _submit(node, owner.address, selector("initialize()"), signed)
        session = await kit.open(request.permission_id, owner.sign_typed_data(request.typed_data), signed)
        await session.opened(timeout=20)
        await deposit(node, session.row.entry_point, [request.account], Wei(10**18))
        accepted = await session.act("attack", [7, 10], key="first")
        assert (await accepted.settled(20)).state == "ok"


async def test_a_newcomer_whose_grant_a_reorg_takes_out(anvil: Anvil, tmp_path: Path) -> None:
    """Delegation, account and grant are gone together, and come in again together."""
    stage, owner = await set_stage(tmp_path, anvil.url, []), Owner()
    async with GameKit.from_config(stage.config) as kit, DevnetNode(stage.url) as node:
        request = await kit.propose(ADA, "arena", "play_match", owner.address, stack="reference_7702")
        session = await kit.open(
            request.permission_id, owner.sign_typed_data(request.typed_data), owner.authorize(request.authorization)
        )
        await session.opened(timeout=20)
        await node.reorganise(1)
        kinds: list[str] = []
        async with asyncio.timeout(20):
            async for event in kit.events(Cursor(0)):
                kinds.append(event.kind)
                if len(kinds) == 3:
                    break
        assert kinds == ["session_opened", "session_reorged", "session_opened"]
        await deposit(node, session.row.entry_point, [request.account], Wei(10**18))
        accepted = await session.act("attack", [7, 10], key="first")
        assert (await accepted.settled(20)).state == "ok"


async def test_a_nonce_that_the_owner_has_used_is_told(anvil: Anvil, tmp_path: Path) -> None:
    stage, owner = await set_stage(tmp_path, anvil.url, []), Owner()
    async with GameKit.from_config(stage.config) as kit, DevnetNode(stage.url) as node:
        request = await kit.propose(ADA, "arena", "play_match", owner.address, stack="reference_7702")
        assert request.authorization is not None
        elsewhere = replace(request.authorization, delegate=stage.contracts.arena)
        await _submit(node, Owner().address, b"", owner.authorize(elsewhere))
        with pytest.raises(AuthorizationSpent) as refused:
            await kit.open(
                request.permission_id, owner.sign_typed_data(request.typed_data), owner.authorize(request.authorization)
            )
        assert refused.value.compared == {"nonce": 0, "found": 1}
        again = await kit.propose(ADA, "arena", "play_match", owner.address, stack="reference_7702")
        assert "It ends the delegation to" in again.explanation
        session = await kit.open(
            again.permission_id, owner.sign_typed_data(again.typed_data), owner.authorize(again.authorization)
        )
        await session.opened(timeout=20)


async def _submit(node: DevnetNode, to: Address, data: bytes, signed: SignedAuthorization | None) -> None:
    """Send an authorization in a stranger's transaction."""
    assert signed is not None
    stranger = Owner()
    await fund(node, [stranger.address], Wei(10**18))
    transaction = Transaction(
        chain_id=signed.authorization.chain_id,
        nonce=0,
        max_priority_fee_per_gas=Wei(1),
        max_fee_per_gas=Wei(10**11),
        gas_limit=Gas(500_000),
        to=to,
        value=Wei(0),
        data=data,
        authorizations=(signed,),
    )
    raw, sent = with_signature(transaction, stranger.sign(signing_hash(transaction)))
    await node.request(str, "eth_sendRawTransaction", to_data(raw))
    await node.require_success(sent)
