"""The escapes that a thief tries, each beside an honest twin that differs from it in one thing and succeeds.

A refusal alone proves little: a wrong nonce or an empty deposit is refused as well. So each escape names the error that
must come, and its twin takes the same way through the entry point.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import coincurve
from msgspec import Struct
from msgspec.structs import replace

from gamekit.core.policy import SLACK_S
from gamekit.core.scope import Scope
from gamekit.demo import forgery
from gamekit.demo.forgery import Attempt, gas_of
from gamekit.demo.loot import Loot
from gamekit.eth.calldata import Call
from gamekit.eth.hashing import parse_address, parse_hex
from gamekit.eth.interface import Function
from gamekit.eth.session_validator_abi import GRANT_SESSION, SessionRecord
from gamekit.eth.user_operation import UserOperation
from gamekit.units import UINT256_MAX, ZERO_ADDRESS, Address, Gas, Wei

ATTACK: Final = Function.parse("attack(uint256 target,uint16 strength)")
CLAIM_LOOT: Final = Function.parse("claimLoot(address beneficiary)")
GIVE_LOOT: Final = Function.parse("giveLoot(address to,uint256 points)")
WITHDRAW: Final = Function.parse("withdraw(uint256 amountWei)")
TRANSFER: Final = Function.parse("transfer(address to,uint256 amount)")
APPROVE: Final = Function.parse("approve(address spender,uint256 amount)")
SET_APPROVAL_FOR_ALL: Final = Function.parse("setApprovalForAll(address operator,bool approved)")
TRANSFER_FROM: Final = Function.parse("transferFrom(address from,address to,uint256 tokenId)")
WITHDRAW_TO: Final = Function.parse("withdrawTo(address payable,uint256 amount)")
INSTALL_MODULE: Final = Function.parse("installModule(uint256 moduleTypeId,address module,bytes initData)")
EXECUTE_USER_OP: Final = bytes.fromhex("8dd7712f")
"""executeUserOp, which an entry point calls instead of the account's own calldata. Source: ERC-4337."""
DELEGATECALL: Final = b"\xff" + bytes(31)
STATIC_CALL: Final = b"\xfe" + bytes(31)
REFUSED: Final = "AA23"
"""The account's validation reverted: the module's own error says why."""


class Escape(Struct, frozen=True):
    """One way out that must be shut, and its twin."""

    name: str
    attempt: Attempt
    twin: Attempt
    code: str
    """Of the entry point."""
    error: str = ""
    """Of the session validator; empty where the entry point itself says all."""
    spends: bool = False
    """Whether the twin uses up so much of the session that it is only simulated."""
    time: int = 0
    """Chain time at which it is simulated; 0 is the head's."""
    twin_time: int = 0


class World(Struct, frozen=True):
    """What the thief knows about the chain; all of it is public."""

    loot: Loot
    neighbour: Address
    """Another player's account on the same stack."""
    arena: Address
    gold: Address
    item: Address
    thief: Address
    used: SessionRecord
    """What the stolen session has used up so far."""

    @property
    def entry_point(self) -> Address:
        """Where the thief goes."""
        return parse_address(self.loot.entry_point)

    @property
    def scope(self) -> Scope:
        """The stolen session's limits."""
        return self.loot.limits

    def hint(self, function: Function) -> int:
        """Which entry of the scope allows a function of the game."""
        return [entry.selector for entry in self.scope.calls.entries].index(function.selector)

    def play(self, target: int = 1, strength: int = 1) -> Call:
        """An allowed call."""
        return Call(self.arena, Wei(0), ATTACK.encode_call(target, strength))

    def honest(self, calls: int = 1) -> Attempt:
        """An operation that the session allows."""
        data = [self.play(place + 1) for place in range(calls)]
        call_data = forgery.single(data[0]) if calls == 1 else forgery.batch(data)
        return Attempt(call_data=call_data, hints=bytes((self.hint(ATTACK),)) * calls)

    def one(self, target: Address, data: bytes, value: int = 0, hint: int | None = None) -> Attempt:
        """One call of the thief's choice, in the place of an honest one."""
        hints = bytes((self.hint(ATTACK) if hint is None else hint,))
        return Attempt(call_data=forgery.single(Call(target, Wei(value), data)), hints=hints)


def escapes(world: World) -> list[Escape]:
    """All escapes that need nothing but the stolen key, while its session lives."""
    groups: Sequence[Callable[[World], Iterator[Escape]]] = (
        _other_calls,
        _into_the_account,
        _other_encodings,
        _other_places,
        _altered_after_signing,
        _beyond_the_limits,
    )
    return [escape for group in groups for escape in group(world)]


def _other_calls(world: World) -> Iterator[Escape]:
    """Calls that the scope does not name."""
    honest, thief, account = world.honest(), world.thief, world.loot.sender
    as_number = int.from_bytes(thief, "big")
    attack = world.one(world.arena, ATTACK.encode_call(as_number, 1))

    def not_allowed(name: str, attempt: Attempt, twin: Attempt = honest) -> Escape:
        return Escape(name, attempt, twin, REFUSED, "CallNotAllowed")

    yield not_allowed("another target", world.one(world.gold, ATTACK.encode_call(1, 1)))
    yield not_allowed(
        "another selector: give loot away", world.one(world.arena, GIVE_LOOT.encode_call(thief, 1)), attack
    )
    yield not_allowed("withdraw value from the game", world.one(world.arena, WITHDRAW.encode_call(1)))
    yield not_allowed("transfer gold", world.one(world.gold, TRANSFER.encode_call(thief, 1)))
    yield not_allowed("approve gold", world.one(world.gold, APPROVE.encode_call(thief, UINT256_MAX)))
    yield not_allowed("approve all items", world.one(world.item, SET_APPROVAL_FOR_ALL.encode_call(thief, True)))
    yield not_allowed("transfer an item", world.one(world.item, TRANSFER_FROM.encode_call(account, thief, 1)))
    smuggled = [world.play(), Call(world.gold, Wei(0), TRANSFER.encode_call(thief, 1))]
    hints = bytes((world.hint(ATTACK),)) * 2
    attempt = Attempt(call_data=forgery.batch(smuggled), hints=hints)
    yield not_allowed("smuggle a second call into a batch", attempt, world.honest(2))
    yield not_allowed("hint at another entry", replace(honest, hints=bytes((world.hint(CLAIM_LOOT),))))
    yield Escape(
        "hint at no entry",
        replace(honest, hints=bytes((len(world.scope.calls.entries),))),
        honest,
        REFUSED,
        "HintOutOfRange",
    )
    paying = world.one(world.arena, ATTACK.encode_call(1, 1), value=1)
    yield Escape("send value", paying, honest, REFUSED, "ValuePerCallExceeded")
    # One attack before it, so that there is loot to claim.
    theirs, own = (
        replace(world.one(world.arena, CLAIM_LOOT.encode_call(to), hint=world.hint(CLAIM_LOOT)), first=(honest,))
        for to in (thief, account)
    )
    yield Escape("name another beneficiary", theirs, own, REFUSED, "ArgumentRefused")
    short = world.one(world.arena, ATTACK.selector[:3])
    yield Escape("call with less than a selector", short, honest, REFUSED, "SelectorMissing")


def _into_the_account(world: World) -> Iterator[Escape]:
    """Calls that would act with the account's own authority."""
    honest, thief, account = world.honest(), world.thief, world.loot.sender
    install = INSTALL_MODULE.encode_call(1, thief, b"")

    def forbidden(name: str, target: Address, data: bytes) -> Escape:
        return Escape(name, world.one(target, data), honest, REFUSED, "TargetForbidden")

    yield forbidden("call the account itself", account, install)
    yield forbidden("call address 0, which is the account itself", ZERO_ADDRESS, install)
    wider = GRANT_SESSION.encode_call(parse_hex(world.loot.scope), ())
    yield forbidden("grant a wider session", world.loot.module, wider)
    yield forbidden("withdraw the deposit", world.entry_point, WITHDRAW_TO.encode_call(thief, 1))
    for name, call_data in (
        ("install a module", install),
        ("enter by executeUserOp", EXECUTE_USER_OP + honest.call_data),
    ):
        yield Escape(name, replace(honest, call_data=call_data), honest, REFUSED, "SelectorNotExecute")
    modes = (
        ("delegatecall", DELEGATECALL),
        ("static call", STATIC_CALL),
        ("an unknown execution type", b"\x00\x02" + bytes(30)),
        ("a mode with a payload", bytes(31) + b"\x01"),
    )
    for name, mode in modes:
        attempt = replace(honest, call_data=forgery.with_mode(honest.call_data, mode))
        yield Escape(name, attempt, honest, REFUSED, "ModeNotAllowed")


def _other_encodings(world: World) -> Iterator[Escape]:
    """Calldata that two decoders could read differently."""
    honest, pair = world.honest(), world.honest(2)
    dirty = forgery.with_word(pair.call_data, 228, 1 << 160 | int.from_bytes(world.arena, "big"))
    theft = forgery.single(Call(world.gold, Wei(0), TRANSFER.encode_call(world.thief, 1)))
    cases = (
        ("alias the head's offset", honest, forgery.with_aliased_head(honest.call_data, theft)),
        ("alias an element of a batch", pair, forgery.with_aliased_element(pair.call_data)),
        ("add bytes behind the calldata", honest, honest.call_data + bytes(32)),
        ("fill the padding", honest, honest.call_data[:-1] + b"\x01"),
        ("dirty the upper bits of a target", pair, dirty),
    )
    for name, twin, call_data in cases:
        attempt = replace(twin, call_data=call_data)
        yield Escape(name, attempt, twin, REFUSED, "CallDataNotCanonical")
    nothing = forgery.batch([world.play()])[:132] + bytes(32)
    nothing = forgery.with_word(nothing, 68, 64)
    empty = replace(honest, call_data=nothing, hints=b"")
    alone = replace(honest, call_data=forgery.batch([world.play()]))
    yield Escape("an empty batch", empty, alone, REFUSED, "CallsOutOfRange")


def _other_places(world: World) -> Iterator[Escape]:
    """The same key somewhere else."""
    honest, scope = world.honest(), parse_hex(world.loot.scope)

    def with_account(op: UserOperation) -> UserOperation:
        return replace(op, sender=world.neighbour)

    elsewhere = replace(honest, after_signing=with_account)
    yield Escape("replay on another account", elsewhere, honest, REFUSED, "SessionNotLive")
    signed_there = replace(honest, before_signing=with_account)
    yield Escape("sign for another account", signed_there, honest, REFUSED, "SessionNotLive")
    lane = replace(honest, nonce_key=world.scope.nonce_key + (1 << 168 if world.loot.stack == "nexus" else 1))
    yield Escape("another lane", lane, honest, REFUSED, "NonceKeyMismatch")
    wider = scope[:88] + (world.scope.usage.uses_max + 1).to_bytes(4, "big") + scope[92:]
    yield Escape("sign for a wider scope", replace(honest, scope=wider), honest, REFUSED, "SessionNotLive")
    longer = scope[:26] + (world.scope.time.valid_until + 3600).to_bytes(6, "big") + scope[32:]
    yield Escape("sign for a longer session", replace(honest, scope=longer), honest, REFUSED, "SessionNotLive")
    own = coincurve.PrivateKey(b"\x11" * 32)
    yield Escape("sign with a key of one's own", replace(honest, secret=own), honest, "AA24")

    def with_factory(op: UserOperation) -> UserOperation:
        return replace(op, factory=world.arena, factory_data=b"\x00" * 4)

    yield Escape("create the account anew", replace(honest, before_signing=with_factory), honest, "AA10")

    def with_paymaster(op: UserOperation) -> UserOperation:
        gas = Gas(50_000)
        return replace(
            op,
            paymaster=world.thief,
            paymaster_verification_gas_limit=gas,
            paymaster_post_op_gas_limit=gas,
        )

    paid = replace(honest, before_signing=with_paymaster)
    yield Escape("add a paymaster", paid, honest, REFUSED, "PaymasterMismatch")


def _altered_after_signing(world: World) -> Iterator[Escape]:
    """What a dishonest bundler could change in what the key did sign."""
    honest = replace(world.honest(), life_s=60)
    changes = (
        ("extend the deadline", forgery.with_deadline_after(40)),
        ("claim a later second", forgery.with_claim_later(1)),
        ("mirror the signature", forgery.with_high_s),
    )
    for name, change in changes:
        yield Escape(name, replace(honest, after_signing=change), honest, "AA24")
    wider = (world.scope.usage.uses_max + 1).to_bytes(4, "big")
    swapped = forgery.with_signature_bytes(77 + 1 + 88, wider)
    yield Escape("swap the scope", replace(honest, after_signing=swapped), honest, REFUSED, "SessionNotLive")
    cut = replace(honest, after_signing=forgery.with_short_signature)
    yield Escape("cut the signature", cut, honest, REFUSED, "SignatureTooShort")
    longer = replace(honest, after_signing=lambda op: replace(op, signature=op.signature + b"\x00"))
    yield Escape("lengthen the signature", longer, honest, REFUSED, "SessionNotLive")
    more = replace(honest, after_signing=lambda op: replace(op, call_gas_limit=Gas(op.call_gas_limit + 1)))
    yield Escape("raise the gas limit", more, honest, "AA24")
    other = forgery.single(world.play(2))
    yield Escape(
        "replace the call", replace(honest, after_signing=lambda op: replace(op, call_data=other)), honest, "AA24"
    )


def _beyond_the_limits(world: World) -> Iterator[Escape]:
    """More than the session may do: faster, longer, dearer."""
    scope, used = world.scope, world.used
    calls = scope.calls_max
    honest = world.honest()
    yield Escape(
        "more calls than one operation may have",
        world.honest(calls + 1),
        world.honest(calls),
        REFUSED,
        "CallsOutOfRange",
    )
    late = replace(honest, age_s=-300, life_s=100)
    yield Escape("claim a time that has not come", late, honest, "AA22")
    stale = replace(honest, age_s=5, life_s=3)
    yield Escape("use an operation that has expired", stale, honest, "AA22")
    endless = replace(honest, age_s=SLACK_S + 3, life_s=10_000)
    fresh = replace(endless, age_s=SLACK_S - 10)
    yield Escape("live on beyond the slack", endless, fresh, "AA22")

    limit = scope.gas.per_operation_wei_max
    fair = replace(honest, fee_wei=limit // gas_of(1))
    dear = replace(honest, fee_wei=limit // gas_of(1) + 1)
    yield Escape("a fee that burns the account", dear, fair, REFUSED, "GasPerOperationExceeded")
    yield _budget(world, scope.gas.budget_wei - used.gas_spent_wei)
    yield _uses(world, scope.usage.uses_max - used.uses)
    if scope.rate is not None:
        most = scope.rate.burst // calls
        first = tuple(replace(world.honest(calls), age_s=40) for _ in range(most))
        fast = replace(world.honest(calls), age_s=40, first=first)
        slow = replace(fast, age_s=40 - calls * scope.rate.interval_ms // 1000 - 1)
        yield Escape("act faster than the pace", fast, slow, REFUSED, "RateExceeded", spends=True)


def _budget(world: World, left: int) -> Escape:
    """Spend the gas budget to the last wei that whole operations can, then one wei per gas more."""
    limit, gas = world.scope.gas.per_operation_wei_max, gas_of(1)
    dear = replace(world.honest(), fee_wei=limit // gas)
    count, left = divmod(left, dear.fee_wei * gas)
    first = tuple(replace(dear, age_s=100 - place) for place in range(count))
    fair = replace(world.honest(), fee_wei=max(left // gas, 1), first=first)
    return Escape(
        "burn more than the gas budget",
        replace(fair, fee_wei=left // gas + 1),
        fair,
        REFUSED,
        "GasBudgetExceeded",
        spends=True,
    )


def _uses(world: World, left: int) -> Escape:
    """Use the session up to its last call, then one call more."""
    calls = world.scope.calls_max
    sizes, rest = [calls] * (left // calls), left % calls
    if not rest:  # the last operation must have room for one call more
        sizes[-1:], rest = [1], calls - 1
    first = tuple(replace(world.honest(size), age_s=100 - 2 * place) for place, size in enumerate(sizes))
    fair, over = (replace(world.honest(count), first=first) for count in (rest, rest + 1))
    return Escape("act more often than granted", over, fair, REFUSED, "UsesExceeded", spends=True)


def after_the_end(world: World) -> list[Escape]:
    """What is left to try at the end of a session, in its last second and in the next one."""
    end = world.scope.time.valid_until
    honest = world.honest()
    return [
        Escape("act after the end", honest, honest, "AA22", time=end + 1, twin_time=end),
        Escape(
            "claim the last second",
            replace(honest, age_s=0),
            replace(honest, age_s=1),
            REFUSED,
            "TimeRangeEmpty",
            time=end,
            twin_time=end,
        ),
    ]


def after_the_revocation(world: World) -> Escape:
    """The same bytes, before and after."""
    return Escape("act after the revocation", world.honest(), world.honest(), REFUSED, "SessionNotLive")
