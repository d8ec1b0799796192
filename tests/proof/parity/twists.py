"""One step over a limit, or one thing that is another's: otherwise the operation is as it should be, and sealed."""

import random
from collections.abc import Callable

from gamekit.core.policy import CALLS_MAX_LIMIT, SLACK_S, CallEntry
from gamekit.core.scope import lane_limits
from gamekit.eth.calldata import Call
from gamekit.units import UINT48_MAX, UINT128_MAX, UINT256_MAX, Address, Wei
from tests.proof.parity.draft import BATCH_MODES, Draft, draw_calls, word
from tests.proof.parity.ground import KEYS, PAYMASTERS, STRANGER, Ground
from tests.proof.parity.scopes import WordPlan

Twist = Callable[[random.Random, Ground, Draft], None]


def twist(rng: random.Random, ground: Ground, draft: Draft) -> None:
    """Change one thing, now and then two."""
    for name in rng.sample(NAMES, k=2 if rng.randrange(6) == 0 else 1):
        TWISTS[name](rng, ground, draft)
        draft.notes.append(name)


def _sender(rng: random.Random, ground: Ground, draft: Draft) -> None:
    draft.sender = rng.choice((STRANGER, ground.module, Address(bytes(20))))


def _init_code(rng: random.Random, ground: Ground, draft: Draft) -> None:
    draft.init_code = b"\x01" + rng.randbytes(rng.choice((0, 5, 19, 20, 60)))


def _nonce_key(rng: random.Random, ground: Ground, draft: Draft) -> None:
    draft.nonce ^= 1 << rng.choice((64, 255, rng.randint(64, 255)))


def _paymaster(rng: random.Random, ground: Ground, draft: Draft) -> None:
    named = PAYMASTERS[0] if draft.paymaster else b""
    draft.paymaster = rng.choice([each for each in (b"", *PAYMASTERS, bytes(20)) if each != named])
    draft.paymaster_data = rng.randbytes(rng.choice((0, 1, 40)))


def _gas_field(rng: random.Random, ground: Ground, draft: Draft) -> None:
    """A number that no entry point admits, at a price that makes it cost nothing, or at any."""
    number = rng.choice((1 << 120, 1 << 127, UINT128_MAX))
    name = rng.choice(("verification", "call", "pre_verification", "fee"))
    if name == "pre_verification":
        number = rng.choice((number, 1 << 136, UINT256_MAX))
    if name == "fee":
        gas = draft.gas
        gas.verification = gas.call = gas.pre_verification = gas.paymaster_verification = gas.paymaster_post_op = 0
    elif rng.randrange(3):
        draft.gas.fee = 0
    setattr(draft.gas, name, number)


def _gas_price(rng: random.Random, ground: Ground, draft: Draft) -> None:
    """One unit more than one operation, or the budget, admits."""
    limits, spent = draft.session.drawn.scope.gas, draft.session.record.gas_spent_wei
    most: int = limits.per_operation_wei_max
    if spent and rng.randrange(4):
        most = min(most, max(0, limits.budget_wei - spent))
    if most >= 1 << 119:
        return
    gas = draft.gas
    gas.fee, gas.call = 1, most + rng.choice((1, 1, 1000))
    gas.verification = gas.pre_verification = gas.paymaster_verification = gas.paymaster_post_op = 0


def _calls(rng: random.Random, ground: Ground, draft: Draft) -> None:
    """One call more than one operation, or the uses, admit."""
    scope = draft.session.drawn.scope
    left = scope.usage.uses_max - draft.session.record.uses
    most = rng.choice((scope.calls_max, scope.calls_max, max(0, min(left, CALLS_MAX_LIMIT))))
    draft.calls = draw_calls(rng, draft.session, min(most, CALLS_MAX_LIMIT + 1) + 1)
    draft.mode = rng.choice(BATCH_MODES)
    draft.encode()


def _time(rng: random.Random, ground: Ground, draft: Draft) -> None:
    """A range that is empty, or nearly."""
    frame = draft.session.drawn.scope.time
    kind = rng.randrange(5)
    if kind == 0:
        draft.deadline = max(0, draft.claimed_at - rng.choice((0, 1, 100, draft.claimed_at)))
    elif kind == 1:
        draft.claimed_at = rng.choice((frame.valid_until, frame.valid_until + 1, UINT48_MAX))
        draft.deadline = UINT48_MAX
    elif kind == 2:
        draft.claimed_at = max(0, frame.valid_after - SLACK_S - rng.choice((0, 1)))
    elif kind == 3:
        draft.claimed_at = max(0, frame.valid_after - SLACK_S + 1)
    else:
        draft.deadline = frame.valid_after + rng.choice((0, 1))


def _target(rng: random.Random, ground: Ground, draft: Draft) -> None:
    place = rng.randrange(len(draft.calls))
    call = draft.calls[place]
    target = rng.choice((STRANGER, *ground.forbidden, *(entry.target for entry in _entries(draft))))
    draft.calls[place] = Call(target, call.value, call.data)
    draft.encode()


def _selector(rng: random.Random, ground: Ground, draft: Draft) -> None:
    place = rng.randrange(len(draft.calls))
    call = draft.calls[place]
    selector = rng.choice((bytes(4), rng.randbytes(4), *(entry.selector for entry in _entries(draft))))
    draft.calls[place] = Call(call.target, call.value, selector + call.data[4:])
    draft.encode()


def _short_data(rng: random.Random, ground: Ground, draft: Draft) -> None:
    """A call without a whole selector, or without the last byte of an argument that may have a rule."""
    place = rng.randrange(len(draft.calls))
    call = draft.calls[place]
    words = (len(call.data) - 4) // 32
    size = rng.choice((0, 3, 4, 35, 4 + 32 * words - 1 if words else 2))
    draft.calls[place] = Call(call.target, call.value, call.data[:size])
    draft.encode()


def _argument(rng: random.Random, ground: Ground, draft: Draft) -> None:
    """A value that a rule does not admit, right beside one that it does; of a call whose entry has a rule."""
    plans = {each.target + each.selector: words for each, words in _planned(draft)}
    ruled = [place for place, call in enumerate(draft.calls) if _refusing(plans.get(call.target + call.data[:4], ()))]
    if not ruled:
        return
    place = rng.choice(ruled)
    call = draft.calls[place]
    plan = plans[call.target + call.data[:4]]
    argument = rng.choice(_refusing(plan))
    at = 4 + 32 * argument
    data = call.data[:at] + word(rng.choice(plan[argument].bad)) + call.data[at + 32 :]
    draft.calls[place] = Call(call.target, call.value, data)
    draft.encode()


def _refusing(words: tuple[WordPlan, ...]) -> list[int]:
    return [argument for argument, plan in enumerate(words) if plan.bad]


def _value(rng: random.Random, ground: Ground, draft: Draft) -> None:
    """More value than one call may carry, or any where none may be."""
    limits = draft.session.drawn.scope.value
    place = rng.randrange(len(draft.calls))
    call = draft.calls[place]
    value = rng.choice((limits.per_call_wei_max + 1, limits.total_wei_max + 1, UINT256_MAX, 1 << 128))
    draft.calls[place] = Call(call.target, Wei(value), call.data)
    draft.encode()


def _cap(rng: random.Random, ground: Ground, draft: Draft) -> None:
    """Calls that each fit, and together pass what is left of a counter by one, or reach it exactly."""
    scope, record = draft.session.drawn.scope, draft.session.record
    limits = lane_limits(scope)
    summed = [
        (entry, words, argument, plan.lane)
        for entry, words in _planned(draft)
        for argument, plan in enumerate(words)
        if plan.lane is not None and all(each.good for each in words)
    ]
    if not summed:
        return
    entry, words, argument, lane = rng.choice(summed)
    left = max(0, limits[lane] - (record.lane0, record.lane1)[lane])
    first = rng.randint(0, left)
    draft.calls = []
    for amount in (first, left - first + rng.choice((0, 1, 1))):
        values = [min(each.good) for each in words]
        values[argument] = amount
        draft.calls.append(Call(entry.target, Wei(0), entry.selector + b"".join(map(word, values))))
    draft.mode = rng.choice(BATCH_MODES)
    draft.encode()


def _value_cap(rng: random.Random, ground: Ground, draft: Draft) -> None:
    """Values that each fit, and together pass what is left by one, or reach it exactly."""
    limits, record = draft.session.drawn.scope.value, draft.session.record
    if not limits.total_wei_max:
        return
    left, most = limits.total_wei_max - record.lane0, limits.per_call_wei_max
    count = min(-(-(left + 1) // most), len(draft.calls), 8)
    over = rng.choice((0, 1, 1))
    for place, call in enumerate(draft.calls):
        value = min(most, left + over) if place < count else 0
        left -= value
        draft.calls[place] = Call(call.target, Wei(max(0, value)), call.data)
    draft.encode()


def _hint(rng: random.Random, ground: Ground, draft: Draft) -> None:
    hints = bytearray(draft.hints)
    count = len(_entries(draft))
    hints[rng.randrange(len(hints))] = rng.choice((count, 255, rng.randrange(count), 0))
    draft.hints = bytes(hints)


def _stranger_signs(rng: random.Random, ground: Ground, draft: Draft) -> None:
    draft.key = rng.choice(KEYS)


def _ungranted(rng: random.Random, ground: Ground, draft: Draft) -> None:
    """A scope that is wider by one bit, which nobody granted; signed as if."""
    scope = bytearray(draft.scope)
    scope[rng.randrange(len(scope))] ^= 1 << rng.randrange(8)
    draft.scope = bytes(scope)


def _planned(draft: Draft) -> list[tuple[CallEntry, tuple[WordPlan, ...]]]:
    return list(zip(_entries(draft), draft.session.drawn.words, strict=True))


def _entries(draft: Draft) -> tuple[CallEntry, ...]:
    return draft.session.drawn.scope.calls.entries


TWISTS: dict[str, Twist] = {
    "another sender": _sender,
    "init code": _init_code,
    "another nonce key": _nonce_key,
    "another paymaster": _paymaster,
    "a gas field beyond 120 bits": _gas_field,
    "a dearer operation": _gas_price,
    "more calls": _calls,
    "another time": _time,
    "another target": _target,
    "another selector": _selector,
    "short data": _short_data,
    "another argument": _argument,
    "more value in one call": _value,
    "a cap reached by several calls": _cap,
    "a value cap reached by several calls": _value_cap,
    "another hint": _hint,
    "another signer": _stranger_signs,
    "another scope": _ungranted,
}
NAMES = tuple(TWISTS)
