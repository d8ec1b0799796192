"""The real runtime on a twin, driven by hand, and operations that its own code builds."""

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gamekit.accounts.reference import TRY_EXECUTE_FAIL
from gamekit.core import prepare
from gamekit.core.action import Action, ActionRequest
from gamekit.core.event import ActionResult, OperationEvent
from gamekit.core.fees import Fees, bid
from gamekit.core.game import build_game
from gamekit.core.lane import Lane
from gamekit.core.manifest import parse_manifest
from gamekit.core.session import Session
from gamekit.core.tracking import SIGNED, Operation
from gamekit.errors import CallReverted, GamekitError
from gamekit.eth.block import Log, TransactionReceipt
from gamekit.eth.entry_point import (
    ENTRY_POINT,
    OperationLogs,
    decode_failed_op,
    encode_get_nonce,
    encode_handle_ops,
    split_logs_by_operation,
)
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.interface import Function
from gamekit.eth.session_validator_abi import (
    ACCOUNT_OF,
    SESSION_OF,
    SESSION_VALIDATOR,
    AccountRecord,
    SessionRecord,
    decode_account,
    decode_session,
)
from gamekit.eth.typed_data import typed_data_digest
from gamekit.eth.user_operation import UserOperation
from gamekit.keys.signer import LocalSigner
from gamekit.kit import KINDS, GameKit, Ports
from gamekit.store.memory import MemoryStore
from gamekit.testing.scenery import ABI, ARENA, MANIFEST, Keys, config
from gamekit.units import ActionId, Address, BlockHash, Cursor, Gas, NonceSequence, PlayerId, UnixSeconds, Wei
from tests.accounts.world import Key
from tests.runtime.world import HandClock
from tests.testing.twins import ATTACK, Twin, transaction, twin_config

ADA = PlayerId("ada")
TARGET = 7
MOVE_HINT, ATTACK_HINT = 0, 1
"""Where the scope has them."""
STRANGER = Key(0x57A6)
"""Bundles what is not his."""


class Refused(Struct, frozen=True):
    """What the EntryPoint says of a bundle, or a contract of a transaction."""

    code: str
    """AAxx, and a place in the bundle where it is not the first."""
    inner: str = ""
    """The module's own error."""


class Told(Struct, frozen=True):
    """A log as it is read: who says it, what, and the values that decide something."""

    by: str
    name: str
    values: tuple[object, ...] = ()


class Sealing(Struct, frozen=True):
    """What an operation has beside its calls."""

    sequence: int | None = None
    """The chain's own if there is none."""
    key: Session | None = None
    """Whose key signs; the session's own if there is none."""
    fee: int = 0
    """Highest fee per gas in wei; the runtime's bid if there is none."""
    try_mode: bool = True
    """Whether each call may revert by itself."""


class Play:
    """A kit, a journal and a player's wallet on a chain."""

    def __init__(self, twin: Twin, keys: Keys, **unit: int) -> None:
        """Make what a server is made of.

        Args:
            twin: the chain.
            keys: the server's.
            unit: numbers of the unit of delegation that are to be others.
        """
        self.twin, self._keys = twin, keys
        self.contracts = twin.contracts
        self.entry_point, self.module = twin.contracts.entry_point_07, twin.contracts.session_validator
        self.owner = Key(0xA11CE)
        self.store = MemoryStore(KINDS)
        self._signer = LocalSigner(keys.keystore)
        lines = [line for line in MANIFEST.splitlines() if line.partition(" = ")[0] not in unit]
        lines += [f"{name} = {number}" for name, number in unit.items()]
        self._game = build_game(parse_manifest("\n".join(lines)), ABI)
        self._ports = Ports(self.store, twin.reader, twin.sender, self._signer, keys.keystore, keys.pool, keys.apart,
                            HandClock(), self._close)  # fmt: skip
        self.kit = self._kit()

    def _kit(self) -> GameKit:
        return GameKit(config(chain=twin_config(self.contracts)), (self._game,), self._ports)

    async def _close(self) -> None:
        return None

    async def start(self) -> None:
        """What `kit.start` does, without its loops; everybody has money."""
        for address in (*self._keys.pool, *self._keys.apart, STRANGER.address):
            await self.twin.fund(address)
        await self.kit._recover()

    async def restart(self) -> None:
        """The process dies, and another one starts on the same journal, keys and chain."""
        self.kit = self._kit()
        await self.kit._recover()

    async def propose(self) -> tuple[Session, bytes]:
        """A session that waits for its owner, and what its owner signs."""
        request = await self.kit.propose(ADA, "arena", "play", self.owner.address)
        await self.twin.fund(request.account)
        return self.kit.session_row(request.permission_id), self.owner.sign(typed_data_digest(request.typed_data))

    async def open(self) -> Session:
        """A session that plays."""
        row, signature = await self.propose()
        await self.kit.open(row.permission_id, signature)
        await self.block()
        row = self.kit.session_row(row.permission_id)
        assert row.state == "open"
        return row

    async def block(self, count: int = 1, *, seconds: int = 2) -> None:
        """Blocks, each of them read."""
        for _ in range(count):
            await self.twin.mine(seconds=seconds)
            await self.kit._settle.step()

    async def accept(self, session: Session, *strengths: int, group: str = "") -> None:
        """Ask for one attack for each strength."""
        before = len(await self.store.select(Action))
        asked = [ActionRequest(f"k{before + place}", "attack", (TARGET, strength), group=group)
                 for place, strength in enumerate(strengths)]  # fmt: skip
        for answer in await self.kit.accept(session.permission_id, asked):
            if isinstance(answer, GamekitError):
                raise answer

    async def sign(self) -> None:
        """One turn of dispatch."""
        dispatch = self.kit._dispatch
        due, dispatch._due = dispatch._due, []
        for lane in due:
            lane.scheduled = False
        await dispatch.sign(due)

    async def turn(self, count: int = 1) -> None:
        """Sign, send, and read the next block."""
        for _ in range(count):
            await self.sign()
            await self.kit._bundler.send_queued()
            await self.block()

    async def settled(self) -> list[list[tuple[bool, str]]]:
        """For each operation that settled, in order, what was told of each action."""
        events = [event for event in await self.kit.events_since(Cursor(0)) if event.kind == "settled"]
        bodies = [msgspec.msgpack.decode(each.body, type=OperationEvent) for each in events]
        return [[_result(action) for action in body.actions] for body in bodies]

    # Operations of one's own.

    def queued(self) -> UserOperation:
        """The one operation that the kit has signed and not sent."""
        (signed,) = self.kit._bundler._queue.values()
        return self.submission(signed)

    def submission(self, signed: Operation) -> UserOperation:
        """An operation of the kit's as it sends it."""
        (submitted,) = self.kit._bundler._submissions([signed])
        return submitted

    async def operation(
        self,
        session: Session,
        *strengths: int,
        call: Function = ATTACK,
        target: Address = ARENA,
        hint: int = ATTACK_HINT,
        ahead: int = 0,
        **how: Any,
    ) -> UserOperation:
        """Build and sign an operation as the runtime does, also where the runtime would refuse.

        Args:
            session: whose operation.
            strengths: one call for each.
            call: the function.
            target: whose.
            hint: which entry of the scope is said to allow it.
            ahead: seconds that its times are ahead.
            how: see `Sealing`.
        """
        sealing = Sealing(**how)
        lane, head = await self.lane(session), await self.twin.reader.head()
        actions = [
            Action(ActionId(1), session.permission_id, "", b"", "", target, call.encode_call(TARGET, each), hint=hint)
            for each in strengths
        ]
        times = prepare.times(head, lane.scope, self.kit.config.batch)
        fees = bid(head.base_fee_per_gas, Wei(0), self.kit.config.fees)
        assert times is not None
        assert fees is not None
        times = UnixSeconds(times[0] + ahead), UnixSeconds(times[1] + ahead)
        fees = Fees(Wei(sealing.fee), Wei(1)) if sealing.fee else fees
        sequence = NonceSequence(await self.sequence(session) if sealing.sequence is None else sealing.sequence)
        call_data = lane.codec.call_data(actions, sealing.try_mode)
        planned = lane.codec.plan(
            [replace(action, gas=Gas(50_000)) for action in actions], call_data, sealing.try_mode, sequence, times, fees
        )
        signature = self._signer.sign(sealing.key or session, lane.codec.digest(planned))
        return lane.codec.submission(planned.moved(SIGNED, signature=signature), call_data)

    def bundle(self, *operations: UserOperation) -> bytes:
        """The calldata of a bundle."""
        return encode_handle_ops(operations, STRANGER.address, EntryPointVersion.V07)

    async def refusal(self, *operations: UserOperation) -> Refused | None:
        """What the chain says of a bundle, if it would not take it."""
        try:
            await self.twin.reader.call(
                self.entry_point, self.bundle(*operations), sender=STRANGER.address, gas=Gas(8_000_000)
            )
        except CallReverted as error:
            failed = decode_failed_op(error.data)
            assert failed is not None
            place = f" at {failed.operation_index}" if failed.operation_index else ""
            return Refused(failed.reason[:4] + place, SESSION_VALIDATOR.decode_revert(failed.inner).name)
        return None

    async def submit(self, to: Address, data: bytes) -> TransactionReceipt:
        """Let a stranger send a transaction, and mine it."""
        nonce = await self.twin.reader.transaction_count(STRANGER.address)
        raw, sent = transaction(STRANGER, nonce, gas=8_000_000, to=to, data=data)
        await self.twin.sender.send_raw_transaction(raw)
        await self.block()
        return next(receipt for receipt in await self.receipts() if receipt.transaction_hash == sent)

    async def refusal_of(self, to: Address, data: bytes) -> Refused | None:
        """What a contract says of a stranger's transaction, if it would revert."""
        try:
            await self.twin.reader.estimate_gas(to, data, sender=STRANGER.address)
        except CallReverted as error:
            return Refused("", SESSION_VALIDATOR.decode_revert(error.data).name)
        return None

    # What the chain says.

    async def lane(self, session: Session) -> Lane:
        return await self.kit._lane(session.permission_id)

    async def sequence(self, session: Session, block: BlockHash | None = None) -> int:
        """What `getNonce` gives, which must name the session's key."""
        asked = encode_get_nonce(session.account, session.key)
        nonce = int.from_bytes(await self.twin.reader.call(self.entry_point, asked, block=block), "big")
        assert nonce >> 64 == session.key
        return nonce & (1 << 64) - 1

    async def record(self, session: Session, block: BlockHash | None = None) -> SessionRecord:
        """What `sessionOf` gives."""
        asked = SESSION_OF.encode_call(session.account, session.permission_id)
        return decode_session(await self.twin.reader.call(self.module, asked, block=block))

    async def account(self, account: Address) -> AccountRecord:
        """What `accountOf` gives."""
        return decode_account(await self.twin.reader.call(self.module, ACCOUNT_OF.encode_call(account)))

    async def receipts(self) -> tuple[TransactionReceipt, ...]:
        """Those of the head."""
        return await self.twin.reader.receipts(await self.twin.reader.head())

    async def told(self) -> list[Told]:
        """What the EntryPoint, the module and the accounts said in the latest block, from `BeforeExecution` on."""
        logs = [log for receipt in await self.receipts() for log in receipt.logs]
        found = [each for log in logs if (each := self._read(log)) is not None]
        names = [each.name for each in found]
        return found[names.index("BeforeExecution") :] if "BeforeExecution" in names else found

    async def operation_logs(self) -> OperationLogs:
        """The one operation of the latest block, as the runtime takes it out of the receipts."""
        (receipt,) = await self.receipts()
        (found,) = split_logs_by_operation(receipt.logs, self.entry_point)
        return found

    def _read(self, log: Log) -> Told | None:
        if log.address in (self.entry_point, self.module):
            interface = ENTRY_POINT if log.address == self.entry_point else SESSION_VALIDATOR
            decoded = interface.decode_log(log)
            by = "entry point" if log.address == self.entry_point else "module"
            assert decoded is not None
            values = {name: value for name, value in decoded.values.items() if not name.startswith("actualGas")}
            return Told(by, decoded.name, tuple(values.values()))
        if log.topics[:1] == (TRY_EXECUTE_FAIL.topic,):
            return Told("account " + log.address.hex(), "ERC7579TryExecuteFail",
                        tuple(TRY_EXECUTE_FAIL.decode(log).values.values()))  # fmt: skip
        return None


def _result(action: ActionResult) -> tuple[bool, str]:
    assert not action.inferred
    return action.ok, action.error


def forged(op: UserOperation, signature: bytes) -> UserOperation:
    """The operation with other bytes where the session key's signature stands."""
    return replace(op, signature=op.signature[:12] + signature + op.signature[77:])
