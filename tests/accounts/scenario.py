"""What every stack must do on a real chain; each test of a stack runs all of it."""

from msgspec.structs import replace

from gamekit.accounts.stack import CallOutcome
from gamekit.devnet import DevnetNode, fund
from gamekit.eth.calldata import Call
from gamekit.eth.interface import CustomError
from gamekit.eth.session_validator_abi import REVOKE_ALL_SESSIONS, REVOKE_SESSION, REVOKE_SESSION_FOR
from gamekit.units import Address, Hash32, Wei
from tests.accounts.world import World

NO_STAMINA = CustomError.parse("NoStamina(uint256 strength,uint256 stamina)").encode(500, 100)
NO_TARGET = CustomError.parse("NoSuchTarget(uint256 target)").encode(0)
OK = CallOutcome(succeeded=True)
FRIEND = Address(b"\xf1" * 20)


async def account_is_deployed(node: DevnetNode, name: str, version: str) -> None:
    """It stands where it should, with its validators and no other, and creating it again changes nothing."""
    world = await World.create(node, name, version)
    own_key = world.stack.own_key_is_owner
    assert await world.has_validator(world.contracts.session_validator)
    assert await world.has_validator(world.contracts.owner_validator) != own_key
    assert not await world.has_validator(FRIEND)
    plan = world.deployment()
    before = await world.code()
    assert len(before) > 2
    epoch = await world.epoch()
    await world.transact(plan.factory, plan.factory_data)
    assert (await world.code(), await world.epoch()) == (before, epoch)
    assert await world.has_validator(world.contracts.session_validator)
    if not own_key:
        other = world.deployment(salt=8)
        assert (await world.call(other.factory, other.address_query))[-20:] != world.account


async def newcomer_opens(node: DevnetNode, name: str, version: str) -> None:
    """A player who has nothing but a wallet: one signed grant, one relayed transaction, and the session plays."""
    world = await World.plan(node, name, version)
    assert await world.code() == "0x"
    await world.open_newcomer(lane=1)
    assert await world.has_validator(world.contracts.session_validator)
    assert await node.request(str, "eth_getBalance", "0x" + world.owner.address.hex(), "latest") == "0x0"
    assert await world.play([world.game.encode("move", [1, 2])], try_mode=True) == (OK,)
    await world.open_newcomer(lane=2)
    assert await world.play([world.game.encode("move", [1, 2])], try_mode=True) == (OK,)


async def session_plays(node: DevnetNode, name: str, version: str, lane: int) -> World:
    """Grant by the owner's signature; then each mode of execution, with its outcomes as the chain tells them."""
    world = await World.create(node, name, version)
    await world.open_session(lane)
    move, weak = world.game.encode("move", [1, 2]), world.game.encode("attack", [0, 5])
    strong = world.game.encode("attack", [9, 500])
    no_stamina, no_target, ok = world.found(CallOutcome(False, NO_STAMINA), CallOutcome(False, NO_TARGET), OK)
    assert await world.play([move], try_mode=True) == (OK,)
    assert await world.play([move], try_mode=False) == (OK,)
    assert await world.play([strong], try_mode=True) == (no_stamina,)
    assert await world.play([move, strong, weak, move], try_mode=True) == (ok, no_stamina, no_target, ok)
    assert await world.play([move, strong], try_mode=False) == (no_stamina,) * 2
    assert await world.play([move, move], try_mode=False) == (OK, OK)
    return world


async def session_ends(node: DevnetNode, name: str, version: str) -> None:
    """Granted and revoked in every way; an operation that was good before is refused afterwards, and one on another
    lane of the account, or with another key's signature, at any time."""
    world = await World.create(node, name, version)
    move = world.game.encode("move", [1, 2])
    module = world.contracts.session_validator
    await world.open_session(1)
    assert world.scope is not None
    good = await world.session_operation([move], try_mode=True)
    assert await world.refusal(replace(good, signature=good.signature[:-1])) == world.refused("SessionNotLive")
    elsewhere = world.stack.nonce_key(module, 2)
    assert await world.refusal(replace(good, nonce=elsewhere << 64)) == world.refused("NonceKeyMismatch")
    forged = good.signature[:12] + world.owner.sign(Hash32(bytes(32))) + good.signature[77:]
    assert (await world.refusal(replace(good, signature=forged)))[0] == "AA24"
    revoked = REVOKE_SESSION_FOR.encode_call(world.account, world.scope.pack())
    await fund(node, [world.revoker.address], Wei(10**18))
    await world.transact(module, revoked, sender=world.revoker.address)
    assert await world.refusal(good) == world.refused("SessionNotLive")

    await world.grant_by_account(2)
    assert await world.play([move], try_mode=True) == (OK,)
    good = await world.session_operation([move], try_mode=True)
    ended = REVOKE_SESSION.encode_call(world.permission_id())
    assert await world.act_as_owner([Call(module, Wei(0), ended)]) == (OK,)
    assert await world.refusal(good) == world.refused("SessionNotLive")

    await world.grant_by_account(3)
    good = await world.session_operation([move], try_mode=True)
    assert await world.act_as_owner([Call(module, Wei(0), REVOKE_ALL_SESSIONS.encode_call())]) == (OK,)
    assert await world.refusal(good) == world.refused("EpochStale")


async def owner_acts(node: DevnetNode, name: str, version: str) -> None:
    """The owner's wallet signs an operation by itself, and grants by ERC-1271; the session key can do neither."""
    world = await World.create(node, name, version)
    assert await world.act_as_owner([Call(FRIEND, Wei(5), b"")]) == (OK,)
    assert await node.request(str, "eth_getBalance", "0x" + FRIEND.hex(), "latest") == "0x5"
    digest, module = Hash32(b"\x11" * 32), world.contracts.session_validator
    owner_validator = world.where.contracts.owner_validator
    owner, key = (signer.sign(world.asked(digest)) for signer in (world.owner, world.key))
    by_owner = world.stack.owner_signature(owner_validator, owner)
    assert await world.accepts_signature(module, digest, by_owner)
    # The owner validator answers nobody but the session validator; a person's own key answers everybody.
    assert await world.accepts_signature(FRIEND, digest, by_owner) == world.stack.own_key_is_owner
    by_key = world.stack.owner_signature(owner_validator, key)
    assert not await world.accepts_signature(module, digest, by_key)
    assert not await world.accepts_signature(module, digest, world.stack.owner_signature(module, key))
