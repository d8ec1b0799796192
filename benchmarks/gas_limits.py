"""Holds each row to the limits that it lists: what steps over one is refused, and the same within it is not.

A step differs from what was accepted before it in exactly one thing. A refusal by the entry point counts only where it
speaks of the account's verdict (AA22 a time, AA23 a revert, AA24 a signature): an operation that fails for another
reason proves nothing.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.gas_accounts import CALLS_MAX, DEPOSIT, DURATION_S, FEE, Operations, Session
from benchmarks.gas_chain import ATTACK, Chain, benchmark_contract
from benchmarks.gas_peers import Delegation
from gamekit.chain.rpc import to_data
from gamekit.core.policy import RateLimitPolicy
from gamekit.errors import CallReverted
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point import DEPOSIT_TO, decode_failed_op
from gamekit.eth.interface import Function
from gamekit.units import Address, Wei

Contestant: TypeAlias = Operations | Delegation
MOVE: Final = Function.parse("move(int16 dx,int16 dy)")
VERDICTS: Final = ("AA22", "AA23", "AA24")
HOUR_MS: Final = 3_600_000


class Broken(Exception):
    """A limit that a row lists does not hold, or is not what refuses."""


async def _nothing(contestant: Contestant) -> None:
    """Change nothing: the number of calls is the step."""


class Step(Struct, frozen=True):
    """One way to step over a limit."""

    over: Callable[[Contestant], Awaitable[None]] = _nothing
    """Changes an open contestant, so that what it writes next is over the limit."""
    tighten: Callable[[Contestant], None] = lambda _: None
    """Makes the limit one that few calls reach, before the contestant is open."""
    calls: tuple[int, int] = (1, 1)
    """Within the limit, and over it. One was made before."""
    same_bytes: bool = False
    """Whether what was accepted is sent again as it is."""


async def require_limits(chain: Chain, make: Callable[[], Contestant]) -> int:
    """Step over each limit of a contestant; nothing is left behind.

    Args:
        chain: where.
        make: gives the contestant, not yet open.

    Returns: how many steps were refused.

    Raises: Broken when one is accepted, or the honest twin is refused.
    """
    count = 0
    for limit in make().limits:
        for step in STEPS[limit]:
            async with chain.undone():
                contestant = make()
                step.tighten(contestant)
                await contestant.open(chain, 1)
                name = f"{contestant.account}, {contestant.signer}, {limit}"
                within, over = step.calls
                written = await contestant.transaction(within, 1)
                if (reason := await refusal(chain, contestant, *written)) is not None:
                    raise Broken(f"{name}: the honest twin was refused: {reason}")
                await step.over(contestant)
                if not step.same_bytes:
                    written = await contestant.transaction(over, 1)
                if await refusal(chain, contestant, *written) is None:
                    raise Broken(f"{name}: not refused")
            count += 1
    return count


async def refusal(chain: Chain, contestant: Contestant, to: Address, data: bytes) -> str | None:
    """Ask the node what a transaction would be refused with; None when it would be executed.

    Raises: Broken for a refusal that is not the account's verdict.
    """
    await chain.node.mine()  # EntryPoint 0.8 lets nothing in during the second that it claims
    asked = {"from": to_data(chain.bundler), "to": to_data(to), "data": to_data(data), "gas": hex(100_000_000)}
    try:
        await chain.node.request(str, "eth_call", asked, "latest")
    except CallReverted as reverted:
        failed = decode_failed_op(reverted.data)
        reason = str(reverted) if failed is None else failed.reason
        if isinstance(contestant, Operations) and reason[:4] not in VERDICTS:
            raise Broken(f"{contestant.account}, {contestant.signer}: refused for another reason: {reason}") from None
        return reason
    return None


def _bent(bend: Callable[[Contestant, Call], Call]) -> Step:
    async def over(contestant: Contestant) -> None:
        contestant.bend = lambda call: bend(contestant, call)

    return Step(over)


async def _other_lane(contestant: Contestant) -> None:
    assert isinstance(contestant, Operations)
    contestant.lane += 1


async def _dear(contestant: Contestant) -> None:
    assert isinstance(contestant, Operations)
    contestant.fee = Wei(100 * FEE)


async def _sponsored(contestant: Contestant) -> None:
    assert isinstance(contestant, Operations)
    chain = contestant.chain
    contestant.paymaster = await chain.create(benchmark_contract("CheckSubjects", "WillingPaymaster"))
    deposit = DEPOSIT_TO.encode_call(contestant.paymaster)
    await chain.act(chain.bundler, contestant.entry_point, deposit, DEPOSIT)


def _later(seconds: int) -> Callable[[Contestant], Awaitable[None]]:
    async def over(contestant: Contestant) -> None:
        node = contestant.chain.node
        await node.request_optional(object, "evm_setNextBlockTimestamp", await contestant.chain.now() + seconds)
        await node.mine()

    return over


def _two_uses(contestant: Contestant) -> None:
    contestant.uses_max = 2


def _ten_strength(contestant: Contestant) -> None:
    assert isinstance(contestant, Operations)
    contestant.sum_max = 10


def _burst_of_one_operation(contestant: Contestant) -> None:
    assert isinstance(contestant, Session)
    contestant.shape = replace(contestant.shape, rate=RateLimitPolicy(interval_ms=HOUR_MS, burst=CALLS_MAX))


def _elsewhere(contestant: Contestant, call: Call) -> Call:
    return call._replace(target=contestant.chain.contracts.gold)


_VALUE: Final = (_bent(lambda _, call: call._replace(value=Wei(1))),)
STEPS: Final[dict[str, tuple[Step, ...]]] = {
    "target": (_bent(_elsewhere),),
    "function": (_bent(_elsewhere), _bent(lambda _, call: call._replace(data=MOVE.encode_call(1, 1)))),
    "time": (Step(_later(DURATION_S + 60)),),
    "deadline": (Step(_later(300), same_bytes=True),),
    "uses": (Step(tighten=_two_uses, calls=(1, 2)),),
    "gas budget": (Step(_dear),),
    "nonce key": (Step(_other_lane),),
    "paymaster": (Step(_sponsored),),
    "no value": _VALUE,
    "value per call": _VALUE,
    "rate": (Step(tighten=_burst_of_one_operation, calls=(CALLS_MAX - 1, CALLS_MAX)),),
    "2 argument rules": (
        _bent(lambda _, call: call._replace(data=ATTACK.encode_call(0, 5))),
        _bent(lambda _, call: call._replace(data=ATTACK.encode_call(1, 101))),
    ),
    "cumulative cap": (Step(tighten=_ten_strength, calls=(1, 2)),),
}
"""How each limit is stepped over, by the name that rows list."""
