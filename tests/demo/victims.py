"""Players whose session keys are stolen: account, deposit and session on a devnet, without gamekit's runtime."""

from dataclasses import dataclass

import coincurve

from gamekit.accounts import stack
from gamekit.chain.rpc import from_data, from_quantity, to_data
from gamekit.core.game import Game
from gamekit.core.setup import StackSetup, chain_setup
from gamekit.demo.forgery import sign
from gamekit.demo.loot import Loot
from gamekit.demo.stage import arena_game
from gamekit.demo.thief import address_of
from gamekit.devnet import DevnetContracts, DevnetNode
from gamekit.eth.hashing import to_hex
from gamekit.eth.session_opener import encode_open
from gamekit.eth.session_validator import permission_id
from gamekit.eth.session_validator_grant import grant_digest, grant_typed_data
from gamekit.units import Address, ChainId, UnixSeconds, Wei

CHAIN_ID = ChainId(31337)


@dataclass(frozen=True)
class Victim:
    loot: Loot
    owner: coincurve.PrivateKey


async def make_victim(node: DevnetNode, contracts: DevnetContracts, name: str, version: str, seed: int) -> Victim:
    """Deploy an account, pay a deposit of one ether in, and grant a session that began ten seconds ago."""
    where = chain_setup(contracts.chain_config(node.url, CHAIN_ID)).stack(name, version)
    game = arena_game(contracts.arena, CHAIN_ID)
    owner, key = coincurve.PrivateKey.from_int(seed), coincurve.PrivateKey.from_int(seed + 1)
    plan = stack(name).deployment(address_of(owner), 0, where.contracts)
    asked = {"to": to_data(plan.factory), "data": to_data(plan.address_query)}
    account = Address(from_data(await node.request(str, "eth_call", asked, "latest"))[-20:])
    block = await node.request(dict[str, object], "eth_getBlockByNumber", "latest", False)
    now = from_quantity(str(block["timestamp"]))
    packed, data = _opening(game, where, owner, key, account, UnixSeconds(now), plan.factory, plan.factory_data)
    funder = (await node.unlocked_accounts())[0]
    opened = await node.send(funder, contracts.session_opener, data, value=Wei(10**18), gas=8_000_000)
    await node.require_success(opened)
    loot = Loot(
        player=f"victim-{seed}",
        key=to_hex(key.secret),
        account=to_hex(account),
        stack=name,
        entry_point_version=version,
        entry_point=to_hex(where.entry_point),
        session_validator=to_hex(contracts.session_validator),
        chain_id=CHAIN_ID,
        permission_id=to_hex(permission_id(CHAIN_ID, contracts.session_validator, account, packed)),
        scope=to_hex(packed),
    )
    return Victim(loot, owner)


def _opening(
    game: Game,
    where: StackSetup,
    owner: coincurve.PrivateKey,
    key: coincurve.PrivateKey,
    account: Address,
    now: UnixSeconds,
    factory: Address,
    factory_data: bytes,
) -> tuple[bytes, bytes]:
    module, account_stack = where.contracts.session_validator, stack(where.name)
    scope = game.unit("try_out").bind(
        account=account,
        signer=address_of(key),
        revoker=address_of(owner),
        nonce_key=account_stack.nonce_key(module, 0),
        valid_after=UnixSeconds(now - 10),
    )
    packed, deadline = scope.pack(), UnixSeconds(now + 600)
    functions = [entry.function for entry in scope.calls.entries]
    typed_data = grant_typed_data(
        chain_id=CHAIN_ID,
        module=module,
        account=account,
        scope=packed,
        functions=functions,
        epoch=1,
        deadline=deadline,
    )
    signature = sign(owner, grant_digest(typed_data))
    data = encode_open(
        account=account,
        factory=factory,
        factory_data=factory_data,
        validator=module,
        scope=packed,
        functions=functions,
        deadline=deadline,
        signature=signature,
        entry_point=where.entry_point,
    )
    return packed, data
