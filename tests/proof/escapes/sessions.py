"""The sessions of a world: one for each kind of limit, all granted before the first row."""

from collections.abc import Sequence
from typing import Final

import coincurve
from msgspec import Struct

from gamekit.accounts.stack import AccountStack
from gamekit.core.policy import (
    ArgumentRule,
    CallEntry,
    CallPolicy,
    Condition,
    GasPolicy,
    RateLimitPolicy,
    SpendingLimitPolicy,
    TimeFramePolicy,
    UsageLimitPolicy,
    ValueLimitPolicy,
)
from gamekit.core.scope import Scope
from gamekit.demo.loot import Loot
from gamekit.devnet import DevnetContracts
from gamekit.eth.calldata import Call
from gamekit.eth.hashing import selector
from gamekit.eth.interface import Function
from gamekit.eth.signature import public_key_address
from gamekit.units import Address, NonceKey, PermissionId, UnixSeconds, Wei
from tests.proof.escapes.strangers import Strangers

MOVE: Final = Function.parse("move(int16 dx,int16 dy)")
ATTACK: Final = Function.parse("attack(uint256 target,uint16 strength)")
CRAFT: Final = Function.parse("craft(uint256 recipe,uint256 amount)")
CLAIM_LOOT: Final = Function.parse("claimLoot(address beneficiary)")
BUY: Final = Function.parse("buy(uint256 item,uint256 amount)")
ACT: Final = Function.parse("act(uint256 number,address who,bool flag,bytes4 tag)")
SAY: Final = Function.parse("say(string text)")
STUMBLE: Final = Function.parse("stumble()")
BOMB: Final = Function.parse("bomb(uint256 size)")
LURE: Final = Function.parse("lure()")
WHISPER: Final = Function.parse("whisper()")

GAS_BUDGET_WEI: Final = 10**18
GAS_PER_OPERATION_WEI: Final = 10**16
CALLS_MAX: Final = 8
USES_MAX: Final = 1000
STRENGTH_MAX: Final = 50
CRAFT_TOTAL: Final = 100
VALUE_PER_CALL_WEI: Final = 1000
VALUE_TOTAL_WEI: Final = 2500
PACE_MS: Final = 10_000
PACE_BURST: Final = 4
TIGHT_USES: Final = 6
TIGHT_BUDGET_WEI: Final = 2 * 10**15
TIGHT_PER_OPERATION_WEI: Final = 12 * 10**14
LONG_LIST: Final = 20
LIFE_S: Final = 7 * 24 * 3600
ACT_NUMBER: Final = (5, 7)
"""What the first argument of `act` may be."""
ACT_TAG: Final = int.from_bytes(b"gold".ljust(32, b"\x00"), "big")


class Session(Struct, frozen=True):
    """One session of a world."""

    name: str
    scope: Scope
    packed: bytes
    permission: PermissionId
    loot: Loot
    functions: tuple[str, ...]
    """The signature text of each entry."""

    def hint(self, target: Address, data: bytes) -> int:
        """Which entry allows a call; 0 where none does."""
        places = [entry.target + entry.selector for entry in self.scope.calls.entries]
        place = target + data[:4]
        return places.index(place) if place in places else 0

    def hints(self, calls: Sequence[Call]) -> bytes:
        """One hint for each call."""
        return bytes(self.hint(call.target, call.data) for call in calls)


class Asked(Struct, frozen=True):
    """What a session is to be, before it is anybody's."""

    entries: tuple[CallEntry, ...]
    calls_max: int = CALLS_MAX
    uses_max: int = USES_MAX
    gas: GasPolicy = GasPolicy(Wei(GAS_BUDGET_WEI), Wei(GAS_PER_OPERATION_WEI))
    rate: RateLimitPolicy | None = None
    value: ValueLimitPolicy = ValueLimitPolicy()
    starts_in_s: int = 0
    ends_in_s: int = LIFE_S
    key: int = 0
    """Which key; sessions with the same one share signer and lane."""


def entry(target: Address, function: Function | str, *rules: ArgumentRule | SpendingLimitPolicy) -> CallEntry:
    """Allow one function."""
    text = function if isinstance(function, str) else function.signature
    return CallEntry(target=target, selector=selector(text), function=text, rules=tuple(rules))


def sorted_entries(*entries: CallEntry) -> tuple[CallEntry, ...]:
    """Put entries in the order that a scope has."""
    return tuple(sorted(entries, key=lambda each: each.target + each.selector))


def long_list(target: Address) -> tuple[CallEntry, ...]:
    """More entries than a signature shows: deeds that the bazaar's fallback counts, and one function with a rule."""
    deeds = (entry(target, f"deed{number}(uint256)") for number in range(LONG_LIST))
    return sorted_entries(*deeds, entry(target, BUY, ArgumentRule(1, Condition.AT_MOST, STRENGTH_MAX)))


def asked_sessions(contracts: DevnetContracts, strangers: Strangers, paymaster: Address | None) -> dict[str, Asked]:
    """Say what each session is, by its name.

    Args:
        contracts: of the devnet.
        strangers: of the suite.
        paymaster: our own, of the account's EntryPoint.
    """
    arena, bazaar = contracts.arena, strangers.bazaar
    move = entry(arena, MOVE)
    play = sorted_entries(
        move,
        entry(arena, ATTACK, ArgumentRule(1, Condition.AT_MOST, STRENGTH_MAX)),
        entry(arena, CRAFT, SpendingLimitPolicy(1, CRAFT_TOTAL, 1)),
        entry(arena, CLAIM_LOOT, ArgumentRule(0, Condition.PINNED_TO_ACCOUNT)),
    )
    trade = sorted_entries(
        entry(bazaar, BUY),
        entry(
            bazaar,
            ACT,
            *(ArgumentRule(0, Condition.ONE_OF, each) for each in ACT_NUMBER),
            ArgumentRule(1, Condition.NOT_EQUAL, 0),
            ArgumentRule(2, Condition.AT_MOST, 1),
            ArgumentRule(3, Condition.EQUAL, ACT_TAG),
        ),
        *(entry(bazaar, each) for each in (STUMBLE, BOMB, LURE, WHISPER)),
        # An ordinary selector: there is no wildcard that it could be.
        CallEntry(bazaar, b"\xff" * 4),
    )
    ours = GasPolicy(Wei(GAS_BUDGET_WEI), Wei(GAS_PER_OPERATION_WEI), paymaster)
    paid = GasPolicy(Wei(GAS_BUDGET_WEI), Wei(GAS_PER_OPERATION_WEI), strangers.paymaster)
    value = ValueLimitPolicy(per_call_wei_max=Wei(VALUE_PER_CALL_WEI), total_wei_max=Wei(VALUE_TOTAL_WEI))
    return {
        "play": Asked(play),
        "trade": Asked(trade, value=value, key=1),
        "paced": Asked((move,), calls_max=PACE_BURST, rate=RateLimitPolicy(PACE_MS, PACE_BURST), key=2),
        "tight": Asked(
            sorted_entries(move, entry(arena, ATTACK)),
            uses_max=TIGHT_USES,
            key=3,
            gas=GasPolicy(Wei(TIGHT_BUDGET_WEI), Wei(TIGHT_PER_OPERATION_WEI)),
        ),
        "paid": Asked((move,), gas=paid, key=4),
        # Our own paymaster; the game has vouched for the first of them.
        "vouched": Asked((move,), gas=ours, key=9),
        "unvouched": Asked((move,), gas=ours, key=10),
        "full": Asked((move,), calls_max=64, key=5),
        "long": Asked(long_list(bazaar), key=8),
        "future": Asked((move,), starts_in_s=24 * 3600, key=6),
        # The same key and lane as `play`, and less that it may do.
        "narrow": Asked((move,), calls_max=1, uses_max=USES_MAX - 1),
    }


def secret_of(key: int) -> coincurve.PrivateKey:
    """The key of sessions with this number."""
    return coincurve.PrivateKey.from_int(0x5E55 + key)


def make_scope(asked: Asked, account: AccountStack, module: Address, revoker: Address, now: UnixSeconds) -> Scope:
    """Make the scope of a session on a stack."""
    address = public_key_address(secret_of(asked.key).public_key.format(compressed=False))
    start = UnixSeconds(now - 2 + asked.starts_in_s)
    return Scope(
        signer=address,
        revoker=revoker,
        nonce_key=NonceKey(account.nonce_key(module, 1 + asked.key)),
        calls_max=asked.calls_max,
        time=TimeFramePolicy(start, UnixSeconds(now + asked.starts_in_s + asked.ends_in_s)),
        calls=CallPolicy(asked.entries),
        usage=UsageLimitPolicy(asked.uses_max),
        gas=asked.gas,
        rate=asked.rate,
        value=asked.value,
    )
