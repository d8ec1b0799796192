"""C35, C58: our own paymaster. It pays for what the session validator has charged, once, and within a voucher."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from gamekit.accounts import stack
from gamekit.demo.forgery import Attempt, Change
from gamekit.devnet.sponsor import operate
from gamekit.eth.session_paymaster import (
    SET_SPONSOR,
    session_data,
    signed_data,
    sponsor_operation_digest,
    with_sponsor_signature,
)
from gamekit.eth.user_op_hash import user_op_hash
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Gas, Hash32, PermissionId, UnixSeconds
from tests.accounts.world import CHAIN_ID, Key
from tests.proof.escapes.make import trial_row
from tests.proof.escapes.model import Do, Expected, Later, Operate, Row, Step, Transact, Trial
from tests.proof.escapes.vouchers import GAME, SPONSOR, VOUCHER_WEI, voucher
from tests.proof.escapes.world import FEE_WEI, World

PAYMASTER_GAS: Final = 150_000
HALF_WEI: Final = VOUCHER_WEI // 2
SPONSORED: Final[Mapping[str, int]] = {"plays": 1, "deposit": 0}
"""What a twin moves: the account pays nothing."""


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _limits()
    yield from _strangers()
    yield from _generations()
    yield from _vouchers()
    yield from _forms()


def _refused(error: str) -> Expected:
    """Refused by the paymaster in validation."""
    return Expected("AA33", error)


def _cost(op: UserOperation) -> int:
    gas = op.pre_verification_gas + op.verification_gas_limit + op.call_gas_limit
    gas += op.paymaster_verification_gas_limit + op.paymaster_post_op_gas_limit
    return gas * op.max_fee_per_gas


def _id(world: World, session: str) -> PermissionId:
    return world.sessions[session].permission


def _named(world: World, session: str, post_op_gas: int = 0) -> Change:
    """Let the paymaster pay in the name of a session."""
    assert world.where.paymaster is not None
    return lambda op: replace(
        op,
        paymaster=world.where.paymaster,
        paymaster_verification_gas_limit=Gas(PAYMASTER_GAS),
        paymaster_post_op_gas_limit=Gas(post_op_gas),
        paymaster_data=session_data(UnixSeconds(world.now - 5), _id(world, session)),
    )


def _costing(wei: int) -> Change:
    """Raise the call gas until the operation costs so much, at 1 gwei a unit."""
    return lambda op: replace(op, call_gas_limit=Gas(op.call_gas_limit + (wei - _cost(op)) // op.max_fee_per_gas))


def paid(world: World, session: str = "vouched", named: str = "", *changes: Change) -> Attempt:
    """An allowed call of a session that the paymaster pays for."""

    def change(op: UserOperation) -> UserOperation:
        for each in (_named(world, named or session), *changes):
            op = each(op)
        return op

    return replace(world.one(world.play(), session), before_signing=change)


def _operate(world: World, session: str = "vouched", named: str = "", *changes: Change) -> Later:
    """Sign an operation where it is sent: it claims a time."""

    async def step(world: World) -> Step:
        return Operate(paid(world, session, named, *changes), session)

    return Later(step)


def _vouch(session: str, limit_wei: int = VOUCHER_WEI, signed_for: str = "", generations_ago: int = 0) -> Later:
    """Hand a voucher in, as anybody may."""

    async def step(world: World) -> Step:
        assert world.where.paymaster is not None
        data = await voucher(world, session, limit_wei, signed_for=signed_for, generations_ago=generations_ago)
        return Transact(world.thief, world.where.paymaster, data)

    return Later(step)


def _rotated() -> Do:
    """The operator sets the game's sponsor anew: a generation begins."""

    async def act(world: World) -> None:
        assert world.where.paymaster is not None
        await operate(world.node, world.where.paymaster, SET_SPONSOR.encode_call(GAME, SPONSOR.address))

    return Do(act)


def _limits() -> Iterator[Row]:
    """No more than the voucher, however it is divided."""
    over = {"chargedWei": VOUCHER_WEI + FEE_WEI, "limitWei": VOUCHER_WEI}
    yield trial_row(
        "C35",
        "sponsor-drain",
        "our paymaster: one unit of gas more than the voucher",
        _refused("SessionLimitExceeded"),
        lambda w: Trial(
            escape=_operate(w, "vouched", "", _costing(VOUCHER_WEI + FEE_WEI)),
            twin=_operate(w, "vouched", "", _costing(VOUCHER_WEI)),
            values=over,
            effect=SPONSORED,
        ),
    )
    yield trial_row(
        "C35",
        "sponsor-drain-twice",
        "our paymaster: one unit of gas more than the voucher, by a second operation",
        _refused("SessionLimitExceeded"),
        lambda w: Trial(
            before=(_operate(w, "vouched", "", _costing(HALF_WEI)),),
            escape=_operate(w, "vouched", "", _costing(VOUCHER_WEI - HALF_WEI + FEE_WEI)),
            twin=_operate(w, "vouched", "", _costing(VOUCHER_WEI - HALF_WEI)),
            values=over,
            effect=SPONSORED,
        ),
    )


def _strangers() -> Iterator[Row]:
    """What the session validator has not charged to the session that is named."""
    yield trial_row(
        "C35",
        "sponsor-other-session",
        "our paymaster: the voucher of the account's other session",
        _refused("SessionNotCharged"),
        lambda w: Trial(
            before=(_vouch("unvouched"),),
            escape=_operate(w, "unvouched", "vouched"),
            twin=_operate(w, "unvouched"),
            values={"chargedWei": 0},
            effect=SPONSORED,
        ),
    )
    yield trial_row(
        "C35",
        "sponsor-no-voucher",
        "our paymaster: a session without a voucher",
        _refused("SessionNotSponsored"),
        lambda w: Trial(
            twin_before=(_vouch("unvouched"),),
            escape=_operate(w, "unvouched"),
            twin=_operate(w, "unvouched"),
            values={"permissionId": _id(w, "unvouched"), "generation": 0, "gameGeneration": 0},
            effect=SPONSORED,
        ),
    )
    yield trial_row(
        "C58",
        "sponsor-not-charged",
        "our paymaster: an operation of the owner's own validator that names a session",
        _refused("SessionNotCharged"),
        lambda w: Trial(escape=Later(_by_owner), twin=_operate(w), values={"chargedWei": 0}, effect=SPONSORED),
    )


async def _by_owner(world: World) -> Step:
    """The owner, not a thief, would have the game pay for what no session was charged for."""
    validator = world.where.contracts.owner_validator
    owner, account = world.base.owner, stack(world.where.name)
    made = paid(world)
    key = account.owner_nonce_key(validator)
    sequence = await world.sequence_of(key) - await world.sequence("vouched")
    before = made.before_signing
    assert before is not None

    def signed(op: UserOperation) -> UserOperation:
        digest = user_op_hash(op, world.where.version, world.where.entry_point, CHAIN_ID)
        return replace(op, signature=account.owner_operation_signature(owner.sign(Hash32(digest))))

    placed = lambda op: replace(before(op), nonce=op.nonce + sequence)  # noqa: E731
    return Operate(replace(made, nonce_key=key, before_signing=placed, after_signing=signed), "vouched")


def _generations() -> Iterator[Row]:
    """A new generation of a game's sponsor ends all that the old one signed."""
    yield trial_row(
        "C35",
        "sponsor-old-generation",
        "our paymaster: a session that the sponsor before this one vouched for",
        _refused("SessionNotSponsored"),
        lambda w: Trial(
            before=(_rotated(),),
            twin_before=(_vouch("vouched"),),
            escape=_operate(w),
            twin=_operate(w),
            values={"permissionId": _id(w, "vouched"), "generation": 1, "gameGeneration": 2},
            effect=SPONSORED,
        ),
    )
    yield trial_row(
        "C35",
        "sponsor-old-voucher",
        "our paymaster: a voucher that was signed before the sponsor changed",
        Expected("reverted", "VoucherSignatureInvalid"),
        lambda w: Trial(
            before=(_rotated(),),
            escape=_vouch("vouched", generations_ago=1),
            twin=_vouch("vouched"),
            values={"sponsor": SPONSOR.address},
            effect={},
        ),
    )


def _vouchers() -> Iterator[Row]:
    """A voucher counts once, and for its session."""
    yield trial_row(
        "C35",
        "sponsor-replayed",
        "our paymaster: the same voucher again, after it is used up",
        _refused("SessionLimitExceeded"),
        lambda w: Trial(
            before=(_operate(w, "vouched", "", _costing(VOUCHER_WEI)),),
            escape_before=(_vouch("vouched"),),
            twin_before=(_vouch("vouched", 2 * VOUCHER_WEI),),
            escape=_operate(w, "vouched", "", _costing(HALF_WEI)),
            twin=_operate(w, "vouched", "", _costing(HALF_WEI)),
            values={"chargedWei": VOUCHER_WEI + HALF_WEI, "limitWei": VOUCHER_WEI},
            effect=SPONSORED,
        ),
    )
    yield trial_row(
        "C35",
        "sponsor-voucher-moved",
        "our paymaster: a voucher that was signed for another session",
        Expected("reverted", "VoucherSignatureInvalid"),
        lambda w: Trial(
            escape=_vouch("unvouched", signed_for="vouched"),
            twin=_vouch("unvouched"),
            values={"sponsor": SPONSOR.address},
            effect={},
        ),
    )


def _signed_by(key: Key) -> Callable[[World], Change]:
    """Let a key sign the operation in the game's name: the other mode of our paymaster."""

    def of(world: World) -> Change:
        times = UnixSeconds(world.now - 5), UnixSeconds(world.now + 60)

        def change(op: UserOperation) -> UserOperation:
            open_op = replace(op, paymaster_data=signed_data(*times, GAME))
            digest = sponsor_operation_digest(CHAIN_ID, open_op, world.where.version, 1)
            return with_sponsor_signature(open_op, key.sign(digest))

        return change

    return of


def _forms() -> Iterator[Row]:
    """What else an operation can ask of the paymaster."""
    yield trial_row(
        "C58",
        "sponsor-post-op-gas",
        "our paymaster: gas for a postOp, which it never needs",
        _refused("PostOpGasNotZero"),
        lambda w: Trial(
            escape=_operate(w, "vouched", "", lambda op: replace(op, paymaster_post_op_gas_limit=Gas(1))),
            twin=_operate(w),
            values={"postOpGasLimit": 1},
            effect=SPONSORED,
        ),
    )

    def by(key: Key) -> Later:
        async def step(world: World) -> Step:
            return Operate(paid(world, "vouched", "", _signed_by(key)(world)), "vouched")

        return Later(step)

    yield trial_row(
        "C35",
        "sponsor-signed-by-thief",
        "our paymaster: an operation that the thief signed in the sponsor's place",
        Expected("AA34"),
        lambda w: Trial(escape=by(Key(0x7EEF)), twin=by(SPONSOR), effect=SPONSORED),
    )
