"""C19 proper: an allowed function whose contract uses what the account approved earlier. No module can see that.

So this is a risk that stays, and the row says how large it is: what was approved, and what the explanation therefore
names to the player. That such approvals are found is tests/runtime/test_approvals.py.
"""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from gamekit.core.explain import describe
from gamekit.demo.escapes import APPROVE, TRANSFER_FROM
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point import BALANCE_OF
from gamekit.eth.token import Approval
from gamekit.units import Gas, Wei
from tests.proof.escapes.family_games import ARM
from tests.proof.escapes.make import trial_row
from tests.proof.escapes.model import Expected, Operate, Row, Step, Transact, Trial
from tests.proof.escapes.owner import owner_does
from tests.proof.escapes.sessions import LURE
from tests.proof.escapes.watch import ALLOWANCE
from tests.proof.escapes.world import World

APPROVED: Final = 5
"""Of the smallest units of gold."""
TAKEN_AT_ONCE: Final = 4
"""What the game tries to take by each call: the second would be more than is left."""
CALL_GAS: Final = Gas(800_000)
"""The game writes down what its thefts answered."""
WITHIN: Final = "and takes at most what was approved"


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield trial_row(
        "C19",
        "allowed",
        "an allowed function takes what the account approved earlier; the explanation names that approval",
        Expected("executed", WITHIN),
        _trial,
    )


def _trial(world: World) -> Trial:
    bazaar, gold = world.strangers.bazaar, world.contracts.gold
    theft = TRANSFER_FROM.encode_call(world.account, world.thief, TAKEN_AT_ONCE)
    return Trial(
        before=(Transact(world.thief, bazaar, ARM.encode_call(gold, theft)),),
        escape_before=(owner_does(Call(gold, Wei(0), APPROVE.encode_call(bazaar, APPROVED))),),
        escape=_lured_twice(world),
        twin=_lured_twice(world),
        effect={"bazaar plays": 2},
        spares=("bazaar plays", "gold", "gold:thief", "allowance:bazaar"),
        after=_taken,
    )


def _lured_twice(world: World) -> Step:
    call = Call(world.strangers.bazaar, Wei(0), LURE.encode_call())
    attempt = world.many([call, call], "trade", before_signing=lambda op: replace(op, call_gas_limit=CALL_GAS))
    return Operate(attempt, "trade")


async def _taken(world: World) -> str:
    """Say how much was taken, if it is what the player was told and no more."""
    bazaar, gold = world.strangers.bazaar, world.contracts.gold
    loot = int.from_bytes(await world.call(gold, BALANCE_OF.encode_call(world.thief)), "big")
    rest = int.from_bytes(await world.call(gold, ALLOWANCE.encode_call(world.account, bazaar)), "big")
    approval = Approval(gold, bazaar, amount=APPROVED)
    told = describe(world.sessions["trade"].scope, world.base.game, world.stack, approvals=(approval,)).not_enforced
    line = f"your account has let it take {APPROVED} of 0x{gold.hex()}, in that token's smallest units."
    is_told = any(each.lower().endswith(line) for each in told)
    return WITHIN if is_told and loot == TAKEN_AT_ONCE and loot + rest == APPROVED else f"and took {loot}"
