"""Known bugs of bounds and recoveries: queues, budgets, verdicts, keys, one writer. See `planting`."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from gamekit.core.action import Action
from gamekit.core.consent import GrantRequest
from gamekit.core.journal import Meta
from gamekit.core.lane import Lane
from gamekit.core.policy import Denied
from gamekit.core.tracking import Operation
from gamekit.core.usage import Usage
from gamekit.kit import GameKit
from gamekit.testing.planting import plant, put
from gamekit.units import Wei

# ruff: noqa: SLF001 - a plant reaches into what it breaks


@plant("I1", campaign="pairs", within=400)
def lost_action(kit: GameKit) -> None:
    """Accepted actions that are in no slot are forgotten by a restart."""

    async def nothing() -> None:
        return None

    put(kit._resolve, "_load_waiting", nothing)


@plant("I10", within=100)
def depth_not_bounded(kit: GameKit) -> None:
    """A lane takes however many actions its player sends."""
    lanes = replace(kit.state.config.lanes, depth_max=1 << 20)
    put(kit.state, "config", replace(kit.state.config, lanes=lanes))


@plant("I5", campaign="gas", within=8)
def cap_of_fees_ignored(kit: GameKit) -> None:
    """Gas is bid for at whatever it costs."""
    fees = replace(kit.state.config.fees, max_fee_per_gas_max_wei=1 << 60, cancel_fee_per_gas_max_wei=1 << 60)
    put(kit.state, "config", replace(kit.state.config, fees=fees))


@plant("I6", within=40)
def journal_not_locked(kit: GameKit) -> None:
    """A process does not keep the journal to itself."""
    kit.store._journal._unlock()  # type: ignore[attr-defined]


@plant("I12", within=40)
def key_in_journal(kit: GameKit) -> None:
    """A session's key is written down as it is, for whoever looks for a fault."""
    real, keys = kit._grant.propose, kit._ports.keys

    async def propose(*asked: Any, **more: Any) -> GrantRequest:  # noqa: ANN401
        request = await real(*asked, **more)
        secret = bytearray(32)
        keys.unseal_into(kit.session_row(request.permission_id), secret)  # type: ignore[attr-defined]
        await kit.store.commit((Meta("debug", bytes(secret)),))
        return request

    put(kit._grant, "propose", propose)


class _GasUnreserved(Lane):
    """Asks the policies as if nothing had been spent on gas yet."""

    __slots__ = ()

    def charge(self, actions: Sequence[Action], operation: Operation) -> Usage | Denied:
        real, self.usage = self.usage, replace(self.usage, gas_spent_wei=Wei(0))
        try:
            return super().charge(actions, operation)
        finally:
            self.usage = real


class _PoliciesUnasked(Lane):
    """Believes that the policies allow whatever is asked."""

    __slots__ = ()

    def charge(self, actions: Sequence[Action], operation: Operation) -> Usage | Denied:
        charged = super().charge(actions, operation)
        return self.usage if isinstance(charged, Denied) else charged


def _with_lanes(kit: GameKit, kind: type[Lane]) -> None:
    real = kit._resolve.make_lane

    def make_lane(*asked: Any) -> Lane:  # noqa: ANN401
        lane = real(*asked)
        lane.__class__ = kind
        return lane

    put(kit._resolve, "make_lane", make_lane)


class _UsesUnreserved(Lane):
    """Counts only what is on chain."""

    __slots__ = ()

    def uses_left(self) -> int:
        return self.scope.usage.uses_max - self.usage.uses


@plant("I8", campaign="budget", within=1)
def budget_not_reserved(kit: GameKit) -> None:
    """Uses are counted when they are charged on chain, not when an action is accepted."""
    _with_lanes(kit, _UsesUnreserved)


@plant("I8", "I11", campaign="gas", within=8)
def gas_not_reserved(kit: GameKit) -> None:
    """What a session has spent on gas is not counted when its next operation is planned."""
    _with_lanes(kit, _GasUnreserved)


@plant("I11", campaign="gas", within=8)
def policies_not_asked(kit: GameKit) -> None:
    """An operation is signed although a policy refuses what it may cost."""
    _with_lanes(kit, _PoliciesUnasked)


@plant("I11", campaign="sponsor", within=4)
def paymaster_left_out(kit: GameKit) -> None:
    """An operation is signed without the paymaster that its session names: the account would pay."""
    real = kit._resolve.make_lane

    def make_lane(*asked: Any) -> Lane:  # noqa: ANN401
        lane = real(*asked)
        put(lane.codec, "_paymaster", None)
        return lane

    put(kit._resolve, "make_lane", make_lane)
