"""What every stack must do on a real chain; each test of a stack runs all of it."""

from gamekit.accounts.stack import CallOutcome
from gamekit.devnet import DevnetNode
from gamekit.eth.calldata import Call
from gamekit.eth.interface import CustomError
from gamekit.units import Address, Wei
from tests.accounts.world import World

NO_STAMINA = CustomError.parse("NoStamina(uint256 strength,uint256 stamina)").encode(500, 100)
NO_TARGET = CustomError.parse("NoSuchTarget(uint256 target)").encode(0)
OK = CallOutcome(succeeded=True)
FRIEND = Address(b"\xf1" * 20)


async def account_is_deployed(node: DevnetNode, name: str, version: str) -> None:
    """It stands where the factory said, with both validators and no other, and creating it again changes nothing."""
    world = await World.create(node, name, version)
    assert await world.has_validator(world.contracts.session_validator)
    assert await world.has_validator(world.contracts.owner_validator)
    assert not await world.has_validator(FRIEND)
    plan = world.deployment()
    before = await node.request(str, "eth_getCode", "0x" + world.account.hex(), "latest")
    assert len(before) > 2
    await world.transact(plan.factory, plan.factory_data)
    assert await world.has_validator(world.contracts.owner_validator)
    other = world.deployment(salt=8)
    assert (await world.call(other.factory, other.address_query))[-20:] != world.account


async def session_plays(node: DevnetNode, name: str, version: str, lane: int) -> None:
    """Grant by the owner's signature; then each mode of execution, with its outcomes as the chain tells them."""
    world = await World.create(node, name, version)
    await world.open_session(lane)
    move, weak = world.game.encode("move", [1, 2]), world.game.encode("attack", [0, 5])
    strong = world.game.encode("attack", [9, 500])
    assert await world.play([move], try_mode=True) == (OK,)
    assert await world.play([move], try_mode=False) == (OK,)
    assert await world.play([strong], try_mode=True) == (CallOutcome(False, NO_STAMINA),)
    assert await world.play([move, strong, weak, move], try_mode=True) == (
        OK,
        CallOutcome(False, NO_STAMINA),
        CallOutcome(False, NO_TARGET),
        OK,
    )
    assert await world.play([move, strong], try_mode=False) == (CallOutcome(False, NO_STAMINA),) * 2


async def owner_acts(node: DevnetNode, name: str, version: str) -> None:
    """The owner's wallet signs an operation by itself, and grants by ERC-1271; the session key can do neither."""
    world = await World.create(node, name, version)
    assert await world.act_as_owner([Call(FRIEND, Wei(5), b"")]) == (OK,)
    assert await node.request(str, "eth_getBalance", "0x" + FRIEND.hex(), "latest") == "0x5"
    digest, module = b"\x11" * 32, world.contracts.session_validator
    owner, key = (signer.sign(digest) for signer in (world.owner, world.key))  # type: ignore[arg-type]
    by_owner = world.stack.owner_signature(world.contracts.owner_validator, owner)
    assert await world.accepts_signature(module, digest, by_owner)
    assert not await world.accepts_signature(FRIEND, digest, by_owner)
    by_key = world.stack.owner_signature(world.contracts.owner_validator, key)
    assert not await world.accepts_signature(module, digest, by_key)
    assert not await world.accepts_signature(module, digest, world.stack.owner_signature(module, key))
