"""What is watched on chain: by name, so that a breach says what moved, and whole, so that nothing moves unseen."""

import asyncio
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
IS_MODULE_INSTALLED: Final = Function.parse("isModuleInstalled(uint256 kind,address module,bytes context)", "bool", "view")

BOOKS: Final = ("deposit", "session:")
"""Beginnings of names that every accepted operation moves: what it paid, and what the module counts."""


class State(Struct, frozen=True):
    """A chain at one moment."""

    named: Mapping[str, int]
    roots: Mapping[str, str]
    """Of whole contracts: storage, code, nonce and balance."""


def changes(before: State, after: State) -> dict[str, int]:
    """By how much each named value has moved."""
    return {
        name: after.named[name] - value for name, value in before.named.items() if after.named.get(name) != value
    }


def moved(before: State, after: State) -> list[str]:
    """Name everything that is not what it was, named or not."""
    roots = [name for name, root in after.roots.items() if before.roots[name] != root]
    return [*changes(before, after), *roots]


def is_book(name: str) -> bool:
    """Whether it is one of those that any accepted operation moves."""
    return name.startswith(BOOKS)


async def look(world: "World", *, whole: bool = True) -> State:
    """Look at everything that has a name, and with `whole` at all the rest."""
    watched = _questions(world)
    purses = {"purse": world.account, "purse:bazaar": world.strangers.bazaar, "purse:arena": world.contracts.arena}
    asked = LOOK.encode_call(tuple(watched.values()), tuple(purses.values()))
    contracts = _whole(world) if whole else {}
    answer, *proofs = await asyncio.gather(
        world.call(world.strangers.looker, asked), *(_root(world, address) for address in contracts.values())
    )
    found, balances = cast("tuple[tuple[bytes, ...], tuple[int, ...]]", LOOK.decode_result(cast("bytes", answer)))
    named = {name: int.from_bytes(each, "big") for name, each in zip(watched, found, strict=True)}
    named |= dict(zip(purses, balances, strict=True))
    return State(named, dict(zip(contracts, cast("list[str]", proofs), strict=True)))


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
        **{
            f"session:{each.name}": (module, SESSION_OF.encode_call(account, each.permission))
            for each in world.sessions.values()
        },
    }


def _whole(world: "World") -> dict[str, Address]:
    """Contracts of which everything is watched."""
    here = world.contracts
    return {
        "all of the account": world.account,
        "all of the neighbour": world.neighbour,
        "all of the session validator": here.session_validator,
        "all of the owner validator": here.owner_validator,
        "all of the entry point": world.where.entry_point,
        "all of the gold": here.gold,
        "all of the items": here.item,
        "all of the arena": here.arena,
        "all of the bazaar": world.strangers.bazaar,
    }


async def _root(world: "World", address: Address) -> str:
    proof = await world.node.request(dict[str, object], "eth_getProof", to_data(address), [], "latest")
    return " ".join(str(proof[name]) for name in ("storageHash", "codeHash", "nonce", "balance"))
