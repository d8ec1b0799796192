"""What each check of a session costs by itself, and what a longer list of functions costs.

A check's gas is the validation of a scope that has it, less that of the scope of one entry, on the same account: for an
operation of one call, and for each further call of a batch.
"""

from collections.abc import Mapping, Sequence
from typing import Final, cast

from msgspec.structs import replace

from benchmarks.gas_accounts import (
    AMPLE,
    AT_LEAST_ONE,
    AT_MOST_STAMINA,
    DEPOSIT,
    ONE_ENTRY,
    PACE,
    STRENGTH_IN_ALL,
    Asked,
    Session,
    Shape,
)
from benchmarks.gas_chain import ATTACK, Chain, benchmark_contract
from gamekit.core.policy import ArgumentRule, Condition, SpendingLimitPolicy, ValueLimitPolicy
from gamekit.core.setup import StackSetup
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point import DEPOSIT_TO
from gamekit.eth.interface import Function
from gamekit.eth.scope_form import ENTRIES_AT, HEADER_LENGTH, entries_of
from gamekit.units import Address, Wei

MANY: Final = 25
"""Calls of the batch that tells what a further call costs."""
LISTS: Final = (1, 8, 9, 10, 11, 12, 16, 32, 128, 255)
"""Numbers of functions in a scope."""


class PinnedSession(Session):
    """Whose calls name the account itself."""

    def game_calls(self, asked: Asked) -> list[Call]:
        """Attack oneself: the game takes any number for a target."""
        target = int.from_bytes(self.players[asked.place], "big")
        return [Call(self.chain.contracts.arena, Wei(0), ATTACK.encode_call(target, 5))] * asked.calls


class InlineSession(Session):
    """Whose whole list rides in every signature, however long it is."""

    def granted(self, packed: bytes) -> bytes:
        """Count the entries in the header; a list that is measured has no rules."""
        return listed(packed, len(entries_of(packed)))


class MerkleSession(Session):
    """Whose signatures carry the root of the list and prove the function that is called, however short it is."""

    def granted(self, packed: bytes) -> bytes:
        """Count nothing in the header: then the entries are leaves."""
        return listed(packed, 0)


def listed(packed: bytes, count: int) -> bytes:
    """Write a granted form of a scope without rules that counts so many entries in its header."""
    header = packed[:ENTRIES_AT] + bytes((count, 0)) + packed[ENTRIES_AT + 2 : HEADER_LENGTH]
    return header + b"".join(entries_of(packed))


class SponsoredSession(Session):
    """Whose operations one paymaster pays."""

    async def prepare(self) -> None:
        """Deploy the paymaster and fill its deposit, then grant."""
        self.paymaster = await self.chain.create(benchmark_contract("CheckSubjects", "WillingPaymaster"))
        await self.chain.act(self.chain.bundler, self.entry_point, DEPOSIT_TO.encode_call(self.paymaster), DEPOSIT)
        await super().prepare()


class PayingSession(Session):
    """Whose calls may carry value, to a game that takes it."""

    _ENTER: Final = Function.parse("enterTournament(uint256 tournament)", "", "payable")
    _ENTRIES_OF: Final = Function.parse("entriesOf(address player)", "uint256", "view")

    def __init__(self, where: StackSetup, wei: int) -> None:
        limit = ValueLimitPolicy(per_call_wei_max=Wei(10), total_wei_max=Wei(10**9))
        super().__init__(where, Shape(value=limit if wei else ValueLimitPolicy()), f"session paying {wei} wei")
        self.wei = Wei(wei)
        self.game = Address(bytes(20))

    async def prepare(self) -> None:
        """Deploy the game, then grant."""
        self.game = await self.chain.create(benchmark_contract("CheckSubjects", "PayableGame"))
        await super().prepare()

    def target(self) -> Address:
        """The game that takes value."""
        return self.game

    def function(self) -> bytes:
        """Its one function."""
        return self._ENTER.selector

    def game_calls(self, asked: Asked) -> list[Call]:
        """Enter so many tournaments."""
        return [Call(self.game, self.wei, self._ENTER.encode_call(index + 1)) for index in range(asked.calls)]

    async def executed(self, place: int) -> int:
        """Ask that game."""
        return int.from_bytes(
            await self.chain.call(self.game, self._ENTRIES_OF.encode_call(self.players[place])), "big"
        )


class FullSession(PayingSession, SponsoredSession):
    """Which has every kind of limit that a scope can have, all at once."""

    def __init__(self, where: StackSetup) -> None:
        super().__init__(where, 1)
        rules = (
            ArgumentRule(0, Condition.AT_LEAST, 1),
            ArgumentRule(0, Condition.AT_MOST, 100),
            SpendingLimitPolicy(0, AMPLE, 1),
        )
        self.shape = replace(self.shape, rate=PACE, rules=rules)
        self.signer = "session, everything"


async def validation_of(chain: Chain, session: Session, calls: int) -> tuple[int, int, int]:
    """Give validation gas, total gas and calldata bytes of one operation of an open session; nothing is left behind.

    Raises: SystemExit unless every call was executed.
    """
    async with chain.undone():
        before = await session.executed(0)
        sent = await chain.measure(*await session.transaction(calls, 1))
        executed = await session.executed(0) - before
    if executed != calls:
        raise SystemExit(f"{session.signer}: {executed} of {calls} calls were executed")
    return session.validation(sent, 1), sent.total_gas, len(sent.data)


async def check_rows(chain: Chain, where: StackSetup) -> list[dict[str, object]]:
    """Measure each check on one account."""

    def rule(condition: Condition, value: int = 0, argument: int = 1) -> Shape:
        return Shape(rules=(ArgumentRule(argument, condition, value),))

    one_of = tuple(ArgumentRule(1, Condition.ONE_OF, value) for value in (3, 4, 5))
    base, paying = Session(where, ONE_ENTRY, "check: none"), PayingSession(where, 0)
    sessions: list[tuple[str, Session, Session]] = [
        (name, Session(where, shape, f"check: {name}"), base)
        for name, shape in {
            "rate": Shape(rate=PACE),
            "argument equal": rule(Condition.EQUAL, 5),
            "argument not equal": rule(Condition.NOT_EQUAL, 6),
            "argument at most": Shape(rules=(AT_MOST_STAMINA,)),
            "argument at least": Shape(rules=(AT_LEAST_ONE,)),
            "argument one of 3": Shape(rules=one_of),
            "cumulative cap on an argument": Shape(rules=(STRENGTH_IN_ALL,)),
        }.items()
    ]
    pinned = rule(Condition.PINNED_TO_ACCOUNT, argument=0)
    sessions.append(("argument pinned to the account", PinnedSession(where, pinned, "check: pinned"), base))
    sessions.append(("paymaster pinned", SponsoredSession(where, ONE_ENTRY, "check: paymaster"), base))
    sessions.append(("value caps, value sent", PayingSession(where, 1), paying))
    sessions.append(("rate, 2 rules, both caps, value and paymaster at once", FullSession(where), paying))
    figures: dict[str, tuple[int, int]] = {}
    for session in (base, paying, *(each for _, each, _ in sessions)):
        await session.open(chain, 1)
        one, many = [(await validation_of(chain, session, calls))[0] for calls in (1, MANY)]
        figures[session.signer] = (one, many)
    rows: list[dict[str, object]] = []
    for name, session, compared in sessions:
        (one, many), (base_one, base_many) = figures[session.signer], figures[compared.signer]
        further = (many - one - (base_many - base_one)) / (MANY - 1)
        rows.append({"check": name, "gas_one_call": one - base_one, "gas_each_further_call": round(further, 1)})
    return rows


FORMS: Final[dict[str, type[Session]]] = {"inline": InlineSession, "merkle": MerkleSession}
"""How a list of functions travels with each operation: all of it, or its root and a proof for each one used."""


async def list_rows(chain: Chain, where: StackSetup) -> list[dict[str, object]]:
    """Measure scopes of many functions, one of which is called, in each form."""
    rows: list[dict[str, object]] = []
    for entries in LISTS:
        for form, kind in FORMS.items():
            session = kind(where, Shape(entries=entries), f"list: {entries} {form}")
            await session.open(chain, 1)
            validation, total, size = await validation_of(chain, session, 1)
            figures = {"validation_gas": validation, "total_gas": total, "calldata_bytes": size}
            rows.append({"entries": entries, "form": form, **figures})
    return rows


def crossover(rows: Sequence[Mapping[str, object]]) -> object:
    """Give the shortest list that was measured for which a proof costs less in all than the list; None for none."""
    totals = {(row["entries"], row["form"]): cast("int", row["total_gas"]) for row in rows}
    paying = [
        entries for entries, form in totals if form == "merkle" and totals[entries, form] < totals[entries, "inline"]
    ]
    return paying[0] if paying else None
