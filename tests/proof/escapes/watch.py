"""What is watched on chain: by name, so that a breach says what moved, and by a trace, so that nothing moves unseen."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

from msgspec import Struct

from gamekit.chain.rpc import to_data
from gamekit.eth.entry_point import BALANCE_OF
from gamekit.eth.interface import Function
from gamekit.eth.session_validator_abi import ACCOUNT_OF, SESSION_OF
from gamekit.units import Address

if TYPE_CHECKING:
    from tests.proof.escapes.world import World

LOOK: Final = Function.parse(
    "look((address target,bytes data)[] questions,address[] purses)", "bytes[] answers,uint256[] balances", "view"
)
ACTIONS_OF: Final = Function.parse("actionsOf(address player)", "uint256", "view")
DEPOSIT_OF: Final = Function.parse("depositOf(address player)", "uint256", "view")
PLAYS_OF: Final = Function.parse("playsOf(address player)", "uint256", "view")
BOUGHT_OF: Final = Function.parse("boughtOf(address player)", "uint256", "view")
ALLOWANCE: Final = Function.parse("allowance(address owner,address spender)", "uint256", "view")
OWNER_OF_ITEM: Final = Function.parse("ownerOf(uint256 id)", "address", "view")
GET_APPROVED: Final = Function.parse("getApproved(uint256 id)", "address", "view")
IS_APPROVED_FOR_ALL: Final = Function.parse("isApprovedForAll(address owner,address operator)", "bool", "view")
OWNER_OF: Final = Function.parse("ownerOf(address account)", "address", "view")
IS_MODULE_INSTALLED: Final = Function.parse(
    "isModuleInstalled(uint256 kind,address module,bytes context)", "bool", "view"
)

BOOKS: Final = ("deposit", "session:")
"""Beginnings of names that every accepted operation moves: what it paid, and what the module counts."""


State = Mapping[str, int]
"""What is watched, by name, at one moment."""


def changes(before: State, after: State) -> dict[str, int]:
    """By how much each named value has moved."""
    return {name: after[name] - value for name, value in before.items() if after[name] != value}


def is_book(name: str) -> bool:
    """Whether it is one of those that any accepted operation moves."""
    return name.startswith(BOOKS)


async def look(world: "World") -> State:
    """Look at everything that has a name."""
    watched = _questions(world)
    purses = {"purse": world.account, "purse:bazaar": world.strangers.bazaar, "purse:arena": world.contracts.arena}
    asked = LOOK.encode_call(tuple(watched.values()), tuple(purses.values()))
    answer = LOOK.decode_result(await world.call(world.strangers.looker, asked))
    found, balances = cast("tuple[tuple[bytes, ...], tuple[int, ...]]", answer)
    named = {name: int.from_bytes(each, "big") for name, each in zip(watched, found, strict=True)}
    return named | dict(zip(purses, balances, strict=True))


async def touched(world: "World", transaction_hash: str, sender: Address) -> tuple[str, ...]:
    """Name whatever a mined transaction left different anywhere on the chain, but the sender's own purse and nonce."""
    options = {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True}}
    diff = await world.node.request(_Diff, "debug_traceTransaction", transaction_hash, options)
    own = to_data(sender)
    return tuple(
        f"{what} of {address}"
        for address, left in diff.post.items()
        for what in sorted(left)
        if not (address == own and what in ("nonce", "balance"))
    )


class _Diff(Struct):
    post: dict[str, dict[str, object]]


def _questions(world: "World") -> dict[str, tuple[Address, bytes]]:
    """What is asked, by name."""
    here, account, thief = world.contracts, world.account, world.thief
    bazaar, module, yes = world.strangers.bazaar, here.session_validator, world.strangers.yes
    spenders = {"thief": thief, "bazaar": bazaar, "arena": here.arena}
    return {
        "plays": (here.arena, ACTIONS_OF.encode_call(account)),
        "plays:neighbour": (here.arena, ACTIONS_OF.encode_call(world.neighbour)),
        "arena deposit": (here.arena, DEPOSIT_OF.encode_call(account)),
        "bazaar plays": (bazaar, PLAYS_OF.encode_call(account)),
        "bazaar plays:neighbour": (bazaar, PLAYS_OF.encode_call(world.neighbour)),
        "bought": (bazaar, BOUGHT_OF.encode_call(account)),
        "gold": (here.gold, BALANCE_OF.encode_call(account)),
        "gold:thief": (here.gold, BALANCE_OF.encode_call(thief)),
        **{f"allowance:{name}": (here.gold, ALLOWANCE.encode_call(account, each)) for name, each in spenders.items()},
        "item": (here.item, OWNER_OF_ITEM.encode_call(world.item_id)),
        "item approved": (here.item, GET_APPROVED.encode_call(world.item_id)),
        **{
            f"operator:{name}": (here.item, IS_APPROVED_FOR_ALL.encode_call(account, each))
            for name, each in spenders.items()
        },
        "owner": (here.owner_validator, OWNER_OF.encode_call(account)),
        "module": (module, ACCOUNT_OF.encode_call(account)),
        "module:bazaar": (module, ACCOUNT_OF.encode_call(bazaar)),
        "validator:yes": (account, IS_MODULE_INSTALLED.encode_call(1, yes, b"")),
        "executor:yes": (account, IS_MODULE_INSTALLED.encode_call(2, yes, b"")),
        "deposit": (world.where.entry_point, BALANCE_OF.encode_call(account)),
        "deposit:sponsor": (world.where.entry_point, BALANCE_OF.encode_call(world.where.paymaster)),
        **{
            f"session:{each.name}": (module, SESSION_OF.encode_call(account, each.permission)) for each in world.granted
        },
    }
