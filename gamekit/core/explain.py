"""What a session may do, in plain English, with the most that can be lost: what a player agrees to.

Deterministic: the same scope gives the same words. Nothing is rounded down. Each sentence on the chain's side is what
the contract enforces; what it does not enforce is said as that.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from gamekit.accounts.stack import AccountStack
from gamekit.core.play import Contract, PlayFunction
from gamekit.core.policy import (
    CONFIGURED_PAYMASTER,
    SLACK_S,
    ArgumentRule,
    CallEntry,
    Condition,
    SpendingLimitPolicy,
)
from gamekit.core.scope import Scope
from gamekit.eth.hashing import checksum_address
from gamekit.eth.proxy import Accepted
from gamekit.eth.token import UNLIMITED, Approval, Unread
from gamekit.units import ZERO_ADDRESS, Address, ChainId

WEI_PER_ETHER: Final = 10**18


class Unbound(Protocol):
    """A unit of delegation, as far as words need it; `unit.Unit` is one."""

    @property
    def meaning(self) -> str:
        """What the player agrees to."""
        ...

    @property
    def policies(self) -> Scope:
        """Everything but whose it is and when."""
        ...


class Described(Protocol):
    """A game, as far as words need it; `game.Game` is one."""

    @property
    def name(self) -> str:
        """What players know it by."""
        ...

    @property
    def chain_id(self) -> ChainId:
        """Where it is."""
        ...

    @property
    def address(self) -> Address:
        """Its own contract."""
        ...

    @property
    def contracts(self) -> Sequence[Contract]:
        """All that its sessions may call, its own first."""
        ...

    @property
    def functions(self) -> Mapping[str, PlayFunction]:
        """Those that are play, with what they mean."""
        ...


class Figures(Struct, frozen=True):
    """The numbers behind the sentences."""

    valid_after: int | None
    """Unix seconds; None before the unit is bound to a time."""
    valid_until: int | None
    """Unix seconds, inclusive."""
    duration_s: int
    calls_max: int
    """Most calls over the session's life: the uses, or what the pace admits if that is less."""
    calls_at_once_max: int | None
    """Most calls that can land in the same second; None without a pace."""
    calls_per_minute_max: int | None
    """Most calls in any 60 seconds; None without a pace."""
    calls_per_operation_max: int
    gas_wei_max: int
    gas_per_operation_wei_max: int
    value_wei_max: int
    value_per_call_wei_max: int
    native_wei_max: int
    """Most native currency that the account can lose: value, and gas unless a paymaster pays it."""
    spending_max: dict[str, int]
    """What each counter of the chain counts in the game, and its cap."""


class Explanation(Struct, frozen=True):
    """An explanation in parts, for a page or a client that lays it out itself."""

    title: str
    may: tuple[str, ...]
    """What the key can do, one function each."""
    until: str
    pace: tuple[str, ...]
    most_lost: tuple[str, ...]
    never: tuple[str, ...]
    on_account: tuple[str, ...]
    """What holds on this kind of account; empty where no kind is given."""
    revoke: tuple[str, ...]
    not_enforced: tuple[str, ...]
    """What no contract checks."""
    figures: Figures

    def __str__(self) -> str:
        """Lay the explanation out as text, 1 heading and its sentences after another."""
        parts = (
            ("The key can", self.may),
            ("Until when", (self.until,)),
            ("How often", self.pace),
            ("The most that can be lost, whoever holds the key", self.most_lost),
            ("The key can never", self.never),
            ("On this kind of account", self.on_account),
            ("How to revoke", self.revoke),
            ("Not enforced on chain", self.not_enforced),
        )
        sections = ["\n".join((f"{heading}:", *(f"  - {line}" for line in lines))) for heading, lines in parts if lines]
        return "\n\n".join((self.title, *sections)) + "\n"


def explain(
    subject: Scope | Unbound,
    game: Described,
    stack: AccountStack | None = None,
    accepted: Sequence[Accepted] = (),
    approvals: Sequence[Approval | Unread] = (),
) -> str:
    """Explain a session's scope, or a unit before any key exists, as text.

    Args:
        subject: a bound scope, or a unit.
        game: says what the functions mean.
        stack: the account's; without it, what depends on it is left out.
        accepted: what the owner accepts for targets that can run code of others.
        approvals: what the account has let the game's contracts take, and what of that could not be read.
    """
    return str(describe(subject, game, stack, accepted, approvals))


def describe(
    subject: Scope | Unbound,
    game: Described,
    stack: AccountStack | None = None,
    accepted: Sequence[Accepted] = (),
    approvals: Sequence[Approval | Unread] = (),
) -> Explanation:
    """Explain as `explain` does, in parts."""
    scope, unit = (subject, None) if isinstance(subject, Scope) else (subject.policies, subject)
    functions = {(each.target, each.function.selector): each for each in game.functions.values()}
    allowed = [(entry, functions.get((entry.target, entry.selector))) for entry in scope.calls.entries]
    counters = _counters(allowed)
    figures = _figures(scope, counters, is_bound=unit is None)
    return Explanation(
        title=_title(game, scope, unit.meaning if unit else ""),
        may=tuple(_may(entry, function, counters, game) for entry, function in allowed),
        until=_until(figures),
        pace=_pace(scope, figures),
        most_lost=_most_lost(scope, figures),
        never=_never(scope, is_bound=unit is None),
        on_account=() if stack is None else stack.limits.enforced,
        revoke=_revoke(scope, is_bound=unit is None),
        not_enforced=(
            *_not_enforced(scope, [function for _, function in allowed if function]),
            *map(_accepted, accepted),
            *map(_approved, approvals),
            *(() if stack is None else (*stack.limits.not_enforced, *stack.limits.other_voices)),
        ),
        figures=figures,
    )


class _Counter(Struct, frozen=True):
    """What one of the chain's two counters sums."""

    of: tuple[str, ...]
    counted: tuple[tuple[Address, bytes, int], ...]
    """The arguments that add to it, one for each rule: target, selector, place."""
    total_max: int


_Allowed: TypeAlias = Sequence[tuple[CallEntry, PlayFunction | None]]
"""The entries of a scope, each with the function of the game that it is, if it is one."""


def _never(scope: Scope, *, is_bound: bool) -> tuple[str, ...]:
    lane = f"nonce key {scope.nonce_key:#x}" if is_bound else "the one nonce key that it is given"
    return (
        "Call any other function or any other contract: not your tokens, not your items, not an exchange.",
        "Send ether along with a call beyond what is said above.",
        "Change your account: its owner, its modules, its code; or take its deposit out of the entry point.",
        "Sign a message, a login, a permit or an order in your account's name.",
        "Act for another account, on another chain, or after its time; or last longer, or grant a further key.",
        f"Stand in the way of your own operations: it acts on {lane} alone.",
    )


def _title(game: Described, scope: Scope, meaning: str) -> str:
    further = [f", {each.name} {checksum_address(each.address)}" for each in game.contracts[1:]]
    where = f"{game.name} (contract {checksum_address(game.address)}{''.join(further)}, chain {game.chain_id})"
    if meaning:
        return f"This key is for you to {meaning} in {where}."
    return f"The session key {checksum_address(scope.signer)} for {where}."


def _figures(scope: Scope, counters: Mapping[int, _Counter], *, is_bound: bool) -> Figures:
    duration_s = scope.time.valid_until - scope.time.valid_after
    gas, value, uses = scope.gas, scope.value, scope.usage.uses_max
    return Figures(
        valid_after=scope.time.valid_after if is_bound else None,
        valid_until=scope.time.valid_until if is_bound else None,
        duration_s=duration_s,
        calls_max=min(uses, _calls_within(scope, duration_s)),
        calls_at_once_max=None if scope.rate is None else min(uses, _calls_within(scope, 0)),
        calls_per_minute_max=None if scope.rate is None else min(uses, _calls_within(scope, 60)),
        calls_per_operation_max=scope.calls_max,
        gas_wei_max=gas.budget_wei,
        gas_per_operation_wei_max=gas.per_operation_wei_max,
        value_wei_max=value.total_wei_max,
        value_per_call_wei_max=value.per_call_wei_max,
        native_wei_max=value.total_wei_max + (0 if gas.paymaster else gas.budget_wei),
        spending_max=_spending(counters),
    )


def _calls_within(scope: Scope, seconds: int) -> int:
    """Bound the calls of any window: its operations may claim times that lie up to the slack before it."""
    if scope.rate is None:
        return scope.usage.uses_max
    return scope.rate.burst + (seconds + SLACK_S) * 1000 // scope.rate.interval_ms


def _counters(allowed: _Allowed) -> dict[int, _Counter]:
    """Say for each lane what is summed in it: rules that share one share its cap."""
    found: dict[int, _Counter] = {}
    for entry, function in allowed:
        names = {rule.argument: rule.of for rule in function.spending} if function else {}
        place = _signature(entry) if function else f"{_signature(entry)} of {checksum_address(entry.target)}"
        for rule in entry.rules:
            if isinstance(rule, SpendingLimitPolicy):
                name = names.get(rule.argument, f"argument {rule.argument} of {place}")
                before = found.get(rule.lane, _Counter((), (), rule.total_max))
                of = before.of if name in before.of else (*before.of, name)
                counted = (*before.counted, (entry.target, entry.selector, rule.argument))
                found[rule.lane] = _Counter(of, counted, rule.total_max)
    return found


def _spending(counters: Mapping[int, _Counter]) -> dict[str, int]:
    """Give the most of each thing that is counted; what both lanes count is one thing with one bound."""
    found = sorted(counters.values(), key=lambda counter: (len(set(counter.counted)), -counter.total_max))
    if len(found) == 2 and not set(found[0].of).isdisjoint(found[1].of):
        less, more = found
        # What adds to one lane only with the other is bounded by the other's cap; else both may be used up.
        is_within = set(less.counted) <= set(more.counted)
        total = more.total_max if is_within else less.total_max + more.total_max
        found = [_Counter(tuple(dict.fromkeys((*more.of, *less.of))), less.counted + more.counted, total)]
    return {" and ".join(counter.of): counter.total_max for counter in found}


def _may(entry: CallEntry, function: PlayFunction | None, counters: Mapping[int, _Counter], game: Described) -> str:
    meaning = function.meaning if function else f"call a function of {checksum_address(entry.target)}"
    names = function.word_names if function else {}
    rules = _rules(entry, names, counters)
    of = f" of {function.contract.name}" if function and len(game.contracts) > 1 else ""
    return f"{meaning} ({_signature(entry)}{of}){': ' if rules else ''}{'; '.join(rules)}"


def _rules(entry: CallEntry, names: dict[int, str], counters: Mapping[int, _Counter]) -> list[str]:
    """Say the rules of an entry; neighbouring one-of rules on an argument in one phrase."""
    phrases: list[str] = []
    before: ArgumentRule | SpendingLimitPolicy | None = None
    for rule in entry.rules:
        name = names.get(rule.argument, f"argument {rule.argument}")
        if isinstance(rule, SpendingLimitPolicy):
            phrases.append(_counted(name, counters[rule.lane]))
        elif _continues(before, rule):
            phrases[-1] += f" or {rule.value:,}"
        elif rule.condition is Condition.PINNED_TO_ACCOUNT:
            phrases.append(f"{name} is always your own account")
        else:
            phrases.append(f"{name} {_CONDITIONS[rule.condition]} {rule.value:,}")
        before = rule
    return phrases


def _counted(name: str, counter: _Counter) -> str:
    if len(counter.counted) == 1:
        return f"{name} at most {counter.total_max:,} over all calls together"
    return f"{name} counts towards the {counter.total_max:,} in all of {' and '.join(counter.of)}"


def _continues(before: ArgumentRule | SpendingLimitPolicy | None, rule: ArgumentRule) -> bool:
    return (
        isinstance(before, ArgumentRule)
        and before.condition is Condition.ONE_OF
        and (rule.condition, rule.argument) == (Condition.ONE_OF, before.argument)
    )


_CONDITIONS: Final = {
    Condition.EQUAL: "exactly",
    Condition.NOT_EQUAL: "never",
    Condition.AT_MOST: "at most",
    Condition.AT_LEAST: "at least",
    Condition.ONE_OF: "one of",
}


def _until(figures: Figures) -> str:
    duration = _duration(figures.duration_s)
    if figures.valid_after is None or figures.valid_until is None:
        return f"For {duration} from its grant; then the chain refuses it."
    return f"From {_time(figures.valid_after)} to {_time(figures.valid_until)} ({duration}); then the chain refuses it."


def _pace(scope: Scope, figures: Figures) -> tuple[str, ...]:
    in_all = f"At most {figures.calls_max:,} calls in all, up to {figures.calls_per_operation_max} in one operation."
    if scope.rate is None or figures.calls_per_minute_max is None:
        return (in_all, "The chain sets no pace.")
    interval_ms = scope.rate.interval_ms
    each_second = f" ({1000 // interval_ms} each second)" if 1000 % interval_ms == 0 else ""
    within = _calls_within(scope, figures.duration_s)
    burst = f"up to {scope.rate.burst:,} calls at once, then one every {interval_ms:,} ms{each_second}"
    most = f"{figures.calls_at_once_max:,} calls in one second, and {figures.calls_per_minute_max:,} in any minute"
    return (
        in_all,
        f"The chain's count ends at {scope.usage.uses_max:,}, its pace admits {within:,} in all that time.",
        f"By the times that operations claim, {burst}.",
        f"Each operation may land up to {SLACK_S} s after the time that it claims: so at most {most}.",
    )


def _most_lost(scope: Scope, figures: Figures) -> tuple[str, ...]:
    gas, one = _ether(figures.gas_wei_max), _ether(figures.gas_per_operation_wei_max)
    if scope.gas.paymaster == CONFIGURED_PAYMASTER:
        payer = "paid by the game's paymaster, which the grant names and which can't be left out"
    elif scope.gas.paymaster:
        payer = f"paid by the paymaster {checksum_address(scope.gas.paymaster)}, which can't be left out"
    else:
        payer = "paid by your account, or its deposit at the entry point"
    lines = [f"{gas} of gas in all, {one} for one operation, {payer}."]
    if figures.value_wei_max:
        per_call = _ether(figures.value_per_call_wei_max)
        lines.append(f"{_ether(figures.value_wei_max)} sent along with calls in all, {per_call} with one call.")
    else:
        lines.append("No ether is sent along with calls.")
    lines += [f"{limit:,} in all of {of}, counted by the chain." for of, limit in figures.spending_max.items()]
    lines.append(f"Together at most {_ether(figures.native_wei_max)} leaves your account.")
    lines.append("Inside the game: what the functions above can use up or lose there, as often as is said above.")
    return tuple(lines)


def _revoke(scope: Scope, *, is_bound: bool) -> tuple[str, ...]:
    who = (
        checksum_address(scope.revoker) if is_bound else "the address that the grant names (your own wallet, as a rule)"
    )
    without_us = f"Without us: {who} sends revokeSessionFor, or revokeAllSessionsFor, to the session module."
    if scope.revoker == ZERO_ADDRESS:
        without_us = "Without us: only from your account, as the grant names nobody else."
    return (
        "In the game: the server signs the key's own end, and anyone may submit that.",
        without_us,
        "From your account: revokeSession, revokeAllSessions, or uninstall the session module.",
        "Once the revocation is on chain nothing of this session lands any more, whenever it was signed.",
    )


def _not_enforced(scope: Scope, functions: Sequence[PlayFunction]) -> tuple[str, ...]:
    lines = [
        "That the functions do what is written here: these are the game's own words about its contract.",
        "That the game's contract stays as it is: an upgrade changes what it does. The server watches for that.",
        "Approvals: if your account has let the game's contract take tokens or items, the contract can take them.",
        "That the target stays no token, no account and no module: this is checked once, at the grant.",
        "How much gas a single function may use is the server's own limit; the chain knows the limits above.",
    ]
    if scope.gas.paymaster:
        lines.append("What the paymaster asks for it: if your account has let it take tokens, it can take them.")
    for function in functions:
        for name, meaning in function.references:
            lines.append(f"In {function.key}, {name!r} can name anybody or anything: {meaning}.")
        if function.harmless_name:
            lines.append(
                f"{function.key} is called that and gives nothing away, says the game: {function.harmless_name}."
            )
    return tuple(lines)


def _approved(each: Approval | Unread) -> str:
    if isinstance(each, Unread):
        if each.token is None:
            return "That your account has let the game's contract take no other token: this could not be read."
        token = checksum_address(each.token)
        return f"What your account has let the game's contract take of {token}: it could not be read."
    token, spender = checksum_address(each.token), checksum_address(each.spender)
    if each.item is not None:
        what = f"item {each.item:,} of {token}"
    elif each.amount is None:
        what = f"every item that it has of {token}"
    elif each.amount == UNLIMITED:
        what = f"everything that it has of {token}, without limit"
    else:
        what = f"{each.amount:,} of {token}, in that token's smallest units"
    return f"That {spender} leaves alone what it may take: your account has let it take {what}."


def _accepted(each: Accepted) -> str:
    target = checksum_address(each.target)
    if each.implementation == each.target:
        return f"That {target} runs no other code than its own: it could, and does not say which; you accept it."
    runs = checksum_address(each.implementation)
    return f"That {target} stays what it is: it is a proxy that runs {runs}, which you accept, once, at the grant."


def _signature(entry: CallEntry) -> str:
    return entry.function or f"selector 0x{entry.selector.hex()}"


def _ether(wei: int) -> str:
    """Write wei in ether, exactly."""
    whole, rest = divmod(wei, WEI_PER_ETHER)
    return f"{whole:,}.{rest:018}".rstrip("0").rstrip(".") + " ETH"


def _time(seconds: int) -> str:
    """Write a unix time in UTC; one beyond the calendar as its number."""
    if seconds > _CALENDAR_END:
        return f"second {seconds:,}"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


_CALENDAR_END: Final = 253_402_300_799
"""9999-12-31 23:59:59 UTC."""


def _duration(seconds: int) -> str:
    """Write a duration in the largest units that are whole."""
    parts = []
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}{'s' if count > 1 else ''}")
    return " ".join(parts)
