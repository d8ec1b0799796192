"""An operation while it is drawn, its seal, and the plain kind: within every limit, often at one of them."""

import random
from dataclasses import dataclass, field

from gamekit.core.policy import CALLS_MAX_LIMIT
from gamekit.core.scope import lane_limits
from gamekit.core.usage import admissible_calls, stored_usage
from gamekit.eth import session_validator
from gamekit.eth.calldata import Call, Mode, execute_batch, execute_single
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.session_validator_abi import SessionRecord
from gamekit.eth.user_op_hash import hash_on_chain_form
from gamekit.eth.user_operation import PackedUserOperation, pack_pair
from gamekit.units import UINT48_MAX, UINT256_MAX, Address, Gas, PermissionId, UnixSeconds, Wei
from tests.proof.parity.ground import BASE, Ground, Key
from tests.proof.parity.scopes import Drawn, WordPlan
from tests.proof.parity.trees import show

BATCH_MODES = (Mode.BATCH, Mode.BATCH_TRY)
SINGLE_MODES = (Mode.SINGLE, Mode.SINGLE_TRY)


@dataclass(slots=True)
class Session:
    """One session of a batch of inputs: a scope that was granted, and how far it is used up."""

    drawn: Drawn
    permission: PermissionId
    record: SessionRecord


@dataclass(slots=True)
class GasFields:
    """The numbers that cost."""

    pre_verification: int = 0
    verification: int = 0
    call: int = 0
    paymaster_verification: int = 0
    paymaster_post_op: int = 0
    fee: int = 0
    priority_fee: int = 0


@dataclass(slots=True)
class Draft:
    """Everything that stands in an operation, each thing to be changed by itself before it is sealed."""

    session: Session
    key: Key
    mode: Mode
    calls: list[Call]
    claimed_at: int
    deadline: int
    sender: Address
    nonce: int
    paymaster: bytes
    """The paymaster's address, or nothing."""
    gas: GasFields
    init_code: bytes = b""
    paymaster_data: bytes = b""
    call_data: bytes = b""
    hints: bytes = b""
    scope: bytes = b""
    """In its signed form."""
    witnesses: bytes = b""
    notes: list[str] = field(default_factory=list)
    """What was done to it, for whoever reads a failure."""

    def encode(self) -> None:
        """Write callData and hints from the calls."""
        if self.mode in BATCH_MODES:
            self.call_data = execute_batch(self.mode, self.calls)
        else:
            self.call_data = execute_single(self.mode, *self.calls[0])
        self.show()

    def show(self) -> None:
        """Write the hints of the calls, and the witnesses of a long list."""
        drawn = self.session.drawn
        places = places_of(drawn, self.calls)
        self.hints, self.witnesses = bytes(places), b""
        if drawn.tree is not None:
            self.hints, self.witnesses = show(drawn.tree, places)

    def seal(self, ground: Ground, version: EntryPointVersion) -> PackedUserOperation:
        """Sign it as whoever holds the key would, over the entry point's hash."""
        unsigned = self.packed(b"")
        name = hash_on_chain_form(unsigned, version, ground.entry_points[version], ground.chain_id)
        permission = session_validator.permission_id(ground.chain_id, ground.module, ground.account, self.scope)
        times = UnixSeconds(self.claimed_at), UnixSeconds(self.deadline)
        signature = self.key.sign(session_validator.operation_digest(name, permission, *times))
        return self.packed(session_validator.envelope(*times, signature, self.hints, self.scope + self.witnesses))

    def packed(self, signature: bytes) -> PackedUserOperation:
        """Give it the form that an entry point takes."""
        gas = self.gas
        paymaster_and_data = b""
        if self.paymaster:
            limits = pack_pair(gas.paymaster_verification, gas.paymaster_post_op)
            paymaster_and_data = self.paymaster + limits + self.paymaster_data
        return PackedUserOperation(
            sender=self.sender,
            nonce=self.nonce,
            init_code=self.init_code,
            call_data=self.call_data,
            account_gas_limits=pack_pair(gas.verification, gas.call),
            pre_verification_gas=Gas(gas.pre_verification),
            gas_fees=pack_pair(gas.priority_fee, gas.fee),
            paymaster_and_data=paymaster_and_data,
            signature=signature,
        )


def places_of(drawn: Drawn, calls: list[Call]) -> list[int]:
    """Give for each call the entry that it means; 0 where there is none."""
    places = {(each.target, each.selector): place for place, each in enumerate(drawn.scope.calls.entries)}
    return [places.get((call.target, call.data[:4]), 0) for call in calls]


def draw_plain(rng: random.Random, ground: Ground, session: Session) -> Draft:
    """Draw an operation within the session's limits, as far as they leave room for any."""
    scope = session.drawn.scope
    earliest, latest = max(scope.time.valid_after, BASE - 60), scope.time.valid_until - 1
    claimed_at = rng.randint(earliest, max(earliest, min(latest, BASE + 90)))
    if rng.randrange(12) == 0:
        claimed_at = rng.choice((max(0, scope.time.valid_after - 50), scope.time.valid_after, latest))
    deadline = rng.choice((claimed_at + rng.choice((1, 60, 90, 120, 500)), UINT48_MAX))
    deadline = max(deadline, scope.time.valid_after + 1)
    admissible = admissible_calls(scope, stored_usage(scope, session.record), UnixSeconds(claimed_at))
    wanted = rng.choice((1, 1, 2, 2, 3, 3, 4, rng.randint(5, 16), rng.randint(1, CALLS_MAX_LIMIT)))
    calls = draw_calls(rng, session, max(1, min(wanted, admissible)))
    draft = Draft(
        session=session,
        key=session.drawn.key,
        mode=rng.choice(BATCH_MODES if len(calls) > 1 or rng.randrange(3) == 0 else SINGLE_MODES),
        calls=calls,
        claimed_at=claimed_at,
        deadline=deadline,
        sender=ground.account,
        nonce=scope.nonce_key << 64 | rng.choice((0, 1, rng.getrandbits(64))),
        paymaster=scope.gas.paymaster or b"",
        gas=_draw_gas(rng, session),
        scope=session.drawn.signed,
    )
    if draft.paymaster:
        draft.paymaster_data = rng.randbytes(rng.choice((0, 0, 1, 65)))
    draft.encode()
    return draft


def draw_calls(rng: random.Random, session: Session, count: int) -> list[Call]:
    """Draw calls that the scope allows together, as far as its rules and what is left of its caps admit any."""
    scope, record = session.drawn.scope, session.record
    limits = lane_limits(scope)
    left = [limits[0] - record.lane0, limits[1] - record.lane1]
    entries = scope.calls.entries
    calls = []
    for _ in range(count):
        place = rng.randrange(len(entries))
        data = draw_data(rng, entries[place].selector, session.drawn.words[place], left)
        value = 0
        if scope.value.total_wei_max and rng.randrange(3) == 0:
            most = max(0, min(scope.value.per_call_wei_max, left[0]))
            value = rng.choice((most, rng.randint(0, most), min(1, most)))
            left[0] -= value
        calls.append(Call(entries[place].target, Wei(value), data))
    return calls


def draw_data(rng: random.Random, selector: bytes, words: tuple[WordPlan, ...], left: list[int]) -> bytes:
    """Draw a call's data: words that the rules admit, and whatever may stand behind them.

    Args:
        left: what is left of each counter; what this call takes is taken off.
    """
    parts = [selector]
    for plan in words:
        fitting = plan.good
        if plan.lane is not None:
            fitting = tuple(value for value in plan.good if value <= left[plan.lane]) or plan.good
        value = rng.choice(fitting) if fitting else rng.choice((0, 1, rng.getrandbits(256)))
        if plan.lane is not None:
            if value > 3 and fitting and rng.randrange(3):
                value = min(fitting)
            left[plan.lane] = max(0, left[plan.lane] - value)
        parts.append(value.to_bytes(32, "big"))
    parts.append(rng.randbytes(rng.choice((0, 0, 0, 32, 64, rng.randrange(70)))))
    return b"".join(parts)


def _draw_gas(rng: random.Random, session: Session) -> GasFields:
    """Draw gas fields that cost at most what one operation may and what the budget leaves; often exactly that."""
    limits = session.drawn.scope.gas
    left = max(0, min(limits.per_operation_wei_max, limits.budget_wei - session.record.gas_spent_wei))
    fee = rng.choice((0, 1, 1, 1, 2, 7, 10**9)) if left else 0
    units = min(left // fee, (1 << 118) - 1) if fee else rng.randrange(10**6)
    if rng.randrange(2):
        units = rng.randint(0, units)
    shares = sorted(rng.randint(0, units) for _ in range(4 if limits.paymaster else 2))
    parts = [end - start for start, end in zip((0, *shares), (*shares, units), strict=True)]
    found = GasFields(*parts)
    found.fee, found.priority_fee = fee, rng.choice((0, fee, rng.randrange(1 << 100)))
    return found


def word(number: int) -> bytes:
    """Write a number in 32 bytes, modulo 2^256."""
    return (number & UINT256_MAX).to_bytes(32, "big")
