"""A unit of delegation: one clear business action, such as playing a match, that a player agrees to by name.

Everything of its scope is known beforehand but whose it is and when: `bind` adds that.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from gamekit.accounts.stack import AccountStack
from gamekit.core.explain import explain
from gamekit.core.lint import function_fault, needs_classification
from gamekit.core.manifest import FunctionManifest, UnitManifest
from gamekit.core.play import PlayFunction
from gamekit.core.policy import (
    CONFIGURED_PAYMASTER,
    DURATION_S_MAX,
    LANES_MAX,
    SLACK_S,
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
from gamekit.core.scope import VALUE_LANE, Scope, scope_fault
from gamekit.core.sponsoring import Sponsoring
from gamekit.errors import ConfigInvalid, EncodingInvalid
from gamekit.eth.hashing import parse_address
from gamekit.eth.interface import Function
from gamekit.eth.session_paymaster import LIMIT_WEI_MAX
from gamekit.units import ZERO_ADDRESS, Address, NonceKey, UnixSeconds, Wei

if TYPE_CHECKING:
    from gamekit.core.game import Game

_NOBODY: Final = Address(b"\xff" * 20)
"""Stands for signer and revoker until a unit is bound."""


class Unit(Struct, frozen=True, eq=False):
    """A named scope without an owner."""

    name: str
    game: "Game"
    meaning: str
    functions: tuple[PlayFunction, ...]
    minutes: int
    policies: Scope
    """All policies; signer, revoker, nonce key, times and a configured paymaster are placeholders. Never pack this."""
    counted: tuple[str, ...]
    """What each spending limit counts, by lane; empty for a lane that counts nothing or value."""
    sponsoring: Sponsoring | None = None
    """How the game pays; None where the account does."""

    def explain(self, stack: AccountStack | None = None) -> str:
        """Explain in plain English what a session of this unit may do, with the most that can be lost.

        Args:
            stack: the player's account stack; without it, what depends on it is left out.
        """
        return explain(self, self.game, stack)

    def bind(
        self,
        *,
        account: Address,
        signer: Address,
        revoker: Address,
        nonce_key: NonceKey,
        valid_after: UnixSeconds,
        minutes: int | None = None,
        paymaster: Address | None = None,
    ) -> Scope:
        """Make the scope of one session.

        Args:
            account: the player's account; it cannot be the game or the key.
            signer: address of the session key.
            revoker: who may revoke by a plain transaction: the owner's own account by default.
            nonce_key: the session's lane, as the account's stack writes it.
            valid_after: first second, in chain time.
            minutes: shorter than the unit's, if the player wishes.
            paymaster: what `configured` means for the account's entry point, where there is one.

        Raises: ConfigInvalid for a longer time, addresses that cannot be, or a paymaster that is missing.
        """
        asked = self.minutes if minutes is None else minutes
        if not 1 <= asked <= self.minutes:
            raise ConfigInvalid(f"unit {self.name} lasts 1 to {self.minutes} minutes, got {asked}", asked=asked)
        if account in {signer, ZERO_ADDRESS, *(entry.target for entry in self.policies.calls.entries)}:
            raise ConfigInvalid(f"the account {account.hex()} can be neither the session key nor the game")
        scope = replace(
            self.policies,
            gas=self._gas(paymaster),
            signer=signer,
            revoker=revoker,
            nonce_key=nonce_key,
            time=TimeFramePolicy(valid_after, UnixSeconds(valid_after + asked * 60)),
        )
        return _checked(f"unit {self.name}", scope)

    def _gas(self, paymaster: Address | None) -> GasPolicy:
        gas = self.policies.gas
        if gas.paymaster != CONFIGURED_PAYMASTER:
            return gas
        if paymaster is None:
            text = f"unit {self.name} is sponsored, and no paymaster is configured for the account's entry point"
            raise ConfigInvalid(text, unit=self.name)
        return replace(gas, paymaster=paymaster)


def build_unit(name: str, manifest: UnitManifest, game: "Game", functions: Sequence[PlayFunction]) -> Unit:
    """Build a unit from its manifest.

    Args:
        name: the unit's name.
        manifest: what it says.
        game: whose unit it is.
        functions: those that the unit names.

    Raises: ConfigInvalid if the unit could not be granted, or is wider than a unit may be.
    """
    where = f"unit {name}"
    if not manifest.meaning.strip():
        raise ConfigInvalid(f"{where}: it has no `meaning` for the player to agree to")
    if not 1 <= manifest.minutes <= DURATION_S_MAX // 60:
        raise ConfigInvalid(f"{where}: minutes must be 1 to {DURATION_S_MAX // 60}, got {manifest.minutes}")
    value = _value_limits(where, manifest, functions)
    lanes = _lanes(where, functions, has_value=bool(value.total_wei_max))
    rate = _rate(where, manifest)
    uses = manifest.burst + -(-(manifest.minutes * 60 + SLACK_S) * 1000 // rate.interval_ms)
    budget, per_operation = manifest.gas_budget_wei, manifest.gas_per_operation_wei_max
    policies = Scope(
        signer=_NOBODY,
        revoker=_NOBODY,
        nonce_key=NonceKey(0),
        calls_max=manifest.calls_max,
        time=TimeFramePolicy(UnixSeconds(0), UnixSeconds(manifest.minutes * 60)),
        calls=CallPolicy(_entries(functions, lanes)),
        usage=UsageLimitPolicy(min(uses, 2**32 - 1) if manifest.uses_max is None else manifest.uses_max),
        gas=GasPolicy(
            Wei(budget),
            Wei(max(budget // 10, 1) if per_operation is None else per_operation),
            _paymaster(where, manifest),
        ),
        rate=rate,
        value=value,
    )
    counted = ["", ""]
    for of, lane in lanes.items():
        counted[lane] = of
    return Unit(
        name=name,
        game=game,
        meaning=manifest.meaning.strip(),
        functions=tuple(functions),
        minutes=manifest.minutes,
        policies=_checked(where, policies),
        counted=tuple(counted),
        sponsoring=_sponsoring(where, manifest),
    )


def raw_scope(scope: Scope, references: Collection[tuple[str, int]] = ()) -> Scope:
    """Check a scope that no unit describes, by the same list and names.

    Args:
        scope: what is asked for; each entry names its function's signature.
        references: (signature, argument) pairs that name somebody without giving anything. Every other address
            argument must be pinned to the account by a rule.

    Raises: ConfigInvalid for what a unit would be refused for, or a scope that the contract would refuse.
    """
    for entry in scope.calls.entries:
        fault = _raw_entry_fault(entry, references)
        if fault:
            raise ConfigInvalid(f"function {entry.function}: {fault}", function=entry.function)
    return _checked("raw scope", scope)


def raw_unit(
    game: "Game", scope: Scope, minutes: int, meaning: str, references: Collection[tuple[str, int]] = ()
) -> Unit:
    """Make a unit without a name of a scope that no manifest describes, for `kit.propose`.

    Args:
        game: whose functions it calls; each must be play.
        scope: all policies; signer, revoker, nonce key and times are placeholders.
        minutes: how long a session lasts.
        meaning: what the player agrees to.
        references: as in `raw_scope`.

    Raises: ConfigInvalid as `raw_scope` does, and for a call that is not play in this game.
    """
    checked = raw_scope(scope, references)
    played = {(each.target, each.function.selector): each for each in game.functions.values()}
    for entry in checked.calls.entries:
        if (entry.target, entry.selector) not in played:
            text = f"{entry.function or entry.selector.hex()} of {entry.target.hex()} is not play in {game.name}"
            raise ConfigInvalid(text, function=entry.function)
    functions = tuple(played[entry.target, entry.selector] for entry in checked.calls.entries)
    gas = checked.gas
    sponsoring = Sponsoring(False, Wei(min(gas.budget_wei, LIMIT_WEI_MAX))) if gas.paymaster else None
    return Unit("", game, meaning, functions, minutes, checked, ("",) * LANES_MAX, sponsoring)


def _raw_entry_fault(entry: CallEntry, references: Collection[tuple[str, int]]) -> str:
    try:
        function = Function.parse(entry.function)
    except EncodingInvalid as error:
        return f"an entry needs its signature text: {error}"
    manifest = FunctionManifest(play=True, meaning="raw", harmless_name="raw")
    pinned = {
        rule.argument
        for rule in entry.rules
        if isinstance(rule, ArgumentRule) and rule.condition is Condition.PINNED_TO_ACCOUNT
    }
    at = 0
    for place, parameter in enumerate(function.inputs):
        is_known = at in pinned or (entry.function, place) in references
        if needs_classification(parameter.name, parameter.type) and not is_known:
            return f"argument {place} may name who gets something: pin it, or list it in `references`"
        at += parameter.type.head_size // 32
    return function_fault(function, manifest)


def _sponsoring(where: str, manifest: UnitManifest) -> Sponsoring | None:
    limit = manifest.gas_budget_wei if manifest.sponsored_wei_max is None else manifest.sponsored_wei_max
    if not manifest.paymaster:
        if manifest.sponsored_wei_max is not None:
            raise ConfigInvalid(f"{where}: sponsored_wei_max needs a paymaster")
        return None
    if not 1 <= limit <= LIMIT_WEI_MAX:
        raise ConfigInvalid(f"{where}: sponsored_wei_max must be 1 to 2^96 - 1 wei, got {limit}", found=limit)
    return Sponsoring(manifest.sponsored_by == "signature", Wei(limit))


def _paymaster(where: str, manifest: UnitManifest) -> Address | None:
    if manifest.paymaster == "configured":
        return CONFIGURED_PAYMASTER
    try:
        return parse_address(manifest.paymaster) if manifest.paymaster else None
    except EncodingInvalid as error:
        raise ConfigInvalid(f"{where}: paymaster: {error}") from error


def _value_limits(where: str, manifest: UnitManifest, functions: Sequence[PlayFunction]) -> ValueLimitPolicy:
    """One cap per call stands in a scope, so the functions of a unit that carry value must agree on it."""
    caps = {function.value_per_call_wei_max for function in functions if function.value_per_call_wei_max}
    total = manifest.value_total_wei_max
    if len(caps) > 1:
        raise ConfigInvalid(f"{where}: its functions cap value per call differently: {sorted(caps)}; split the unit")
    if bool(caps) != bool(total):
        raise ConfigInvalid(
            f"{where}: value needs both caps, got {total} in all and {sorted(caps)} per call of a function"
        )
    return ValueLimitPolicy(per_call_wei_max=Wei(max(caps, default=0)), total_wei_max=Wei(total))


def _lanes(where: str, functions: Sequence[PlayFunction], *, has_value: bool) -> dict[str, int]:
    """Give each counted thing a lane; value has the first if there is any."""
    lanes: dict[str, int] = {}
    for function in functions:
        for rule in function.spending:
            lanes.setdefault(rule.of, len(lanes) + (VALUE_LANE + 1 if has_value else 0))
    if max(lanes.values(), default=0) >= LANES_MAX:
        raise ConfigInvalid(f"{where}: at most {LANES_MAX} things can be counted, value among them: {sorted(lanes)}")
    return lanes


def _rate(where: str, manifest: UnitManifest) -> RateLimitPolicy:
    rate = manifest.rate_per_s
    if not 1 / 3600 <= rate <= 1000:
        raise ConfigInvalid(f"{where}: rate_per_s must be one an hour to 1000, got {rate}")
    if manifest.burst < manifest.calls_max:
        raise ConfigInvalid(f"{where}: burst {manifest.burst} must admit an operation of {manifest.calls_max} calls")
    # Rounded up: never faster than the manifest says.
    return RateLimitPolicy(interval_ms=int(-(-1000 // rate)), burst=manifest.burst)


def _entries(functions: Sequence[PlayFunction], lanes: dict[str, int]) -> tuple[CallEntry, ...]:
    entries = [
        CallEntry(
            target=function.target,
            selector=function.function.selector,
            function=function.function.signature,
            rules=(
                *function.rules,
                *(SpendingLimitPolicy(rule.argument, rule.total_max, lanes[rule.of]) for rule in function.spending),
            ),
        )
        for function in functions
    ]
    return tuple(sorted(entries, key=lambda entry: (entry.target, entry.selector)))


def _checked(where: str, scope: Scope) -> Scope:
    fault = scope_fault(scope)
    if fault:
        raise ConfigInvalid(f"{where}: {fault}")
    return scope
