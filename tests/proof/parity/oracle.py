"""The contract's side: sessions granted on a real chain, and many operations judged by the deployed module in one call.

`ParityOracle.sol` stands at the account's address for the length of one eth_call (a state override), so the module is
asked by the account that granted. How far a session is used up is written into the module's storage by the same
override; that the words mean what we think is read back through the module's own functions.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from functools import cache
from pathlib import Path

from msgspec import Struct

from gamekit.chain.rpc import from_data, to_data
from gamekit.contracts import artifact, build
from gamekit.devnet import DevnetNode
from gamekit.eth.hashing import keccak256
from gamekit.eth.interface import Function, Interface
from gamekit.eth.session_validator_abi import (
    SESSION_OF,
    SessionRecord,
    SessionState,
    decode_session,
    unpack_session_slot,
)
from gamekit.eth.user_operation import PackedUserOperation
from gamekit.units import Address, PermissionId
from tests.accounts.world import CHAIN_ID, World
from tests.proof.parity.ground import BASE, GAMES, Ground

SOURCE = "test/parity/ParityOracle.sol"
JUDGE = Function.parse("judge(address validator,address entryPoint,bytes[] inputs)", "bytes verdicts")
VERDICT_LENGTH = 128
GAS = 900_000_000
"""Of one eth_call; below the devnet's block limit."""
REQUEST_BYTES_MAX = 400_000
"""Of inputs in one eth_call; in hexadecimal, with the rest, below a megabyte."""
SLOTS_MAX = 16
"""Where the module's mappings are looked for."""
MODULE = Interface.from_json(artifact("SessionValidator").abi)
"""As it was compiled."""
ACCOUNT_OF = MODULE.function("accountOf")
ERRORS = {selector: error.name for selector, error in MODULE.errors.items()}


class Kind(Enum):
    """What became of an operation in the module; the number is the oracle's."""

    ACCEPTED = 0
    SIGNATURE_FAILED = 1
    REFUSED = 2
    OTHER = 3


class ContractVerdict(Struct, frozen=True):
    """What the module said."""

    kind: Kind
    error: str
    """Name of the error that refused; empty when nothing did, in hexadecimal when it is none of the interface's."""
    gas: int
    valid_after: int
    valid_until: int
    record: SessionRecord
    """What it remembers afterwards."""


@cache
def validation_errors() -> frozenset[str]:
    """Read from the interface which errors validation can give: those below the headings that say so."""
    text = (build.PROJECT / "src" / "ISessionValidator.sol").read_text()
    sections = re.split(r"// -{20,} ([a-z ]+)\n", text)
    headed = dict(zip(sections[1::2], sections[2::2], strict=True))
    bodies = [body for heading, body in headed.items() if "of validation" in heading]
    return frozenset(name for body in bodies for name in re.findall(r"^    error (\w+)\(", body, re.MULTILINE))


@cache
def oracle_code() -> bytes:
    """Compile the oracle and give its runtime code."""
    if build.forge("build", "--threads", "1", SOURCE) != 0:
        raise build.BuildFailed(f"forge cannot compile {SOURCE}")
    compiled = json.loads((build.PROJECT / "out" / Path(SOURCE).name / "ParityOracle.json").read_text())
    return bytes.fromhex(compiled["deployedBytecode"]["object"].removeprefix("0x"))


def grant_call(scope: bytes) -> bytes:
    """Encode `grantSession` by the account itself, of a scope whose targets run no code of others."""
    return MODULE.function("grantSession").encode_call(scope, ())


class Oracle:
    """One chain with one account whose sessions are judged."""

    def __init__(self, world: World, ground: Ground, slots: dict[str, int], epoch: int) -> None:
        self._world = world
        self._node = world.node
        self._slots = slots
        self.ground = ground
        self.epoch = epoch
        """The account's."""
        self._before = ""
        """A snapshot from before the scopes of now were granted."""

    @classmethod
    async def create(cls, node: DevnetNode) -> "Oracle":
        """Deploy everything on a fresh chain whose time is then `BASE`."""
        world = await World.create(node, "reference", "0.7")
        for game in GAMES:
            await node.set_code(game, artifact("Arena").deployed_bytecode)
        await node.request_optional(object, "evm_setNextBlockTimestamp", BASE)
        await node.mine()
        await node.request_optional(object, "anvil_impersonateAccount", to_data(world.account))
        contracts = world.contracts
        entry_points = {version: version.canonical_address for version in world.stack.entry_point_versions}
        ground = Ground(CHAIN_ID, world.account, contracts.session_validator, entry_points)
        asked = ACCOUNT_OF.encode_call(world.account)
        (record,) = ACCOUNT_OF.decode_result(await world.call(ground.module, asked))
        assert isinstance(record, tuple)
        oracle = cls(world, ground, {}, int(str(record[1])))
        oracle._slots = await oracle._find_slots()
        return oracle

    async def grant(self, scopes: Iterable[bytes]) -> None:
        """Grant by the account itself, in place of what was granted before: thousands of grants slow the node down, and
        use up the account's ether. Raises ChainError when the module refuses one.
        """
        if self._before:
            await self._node.restore(self._before)
        self._before = await self._node.snapshot()
        account, module = self.ground.account, self.ground.module
        sent = [await self._node.send(account, module, grant_call(scope), gas=30_000_000) for scope in scopes]
        await self._node.require_success(*sent)

    async def judge(
        self,
        operations: Sequence[tuple[PermissionId, PackedUserOperation]],
        records: dict[PermissionId, SessionRecord],
        entry_point: Address,
    ) -> list[ContractVerdict]:
        """Ask the module about each operation by itself, with sessions used up as `records` say."""
        verdicts: list[ContractVerdict] = []
        for inputs in _portions([permission + encode_operation(op) for permission, op in operations]):
            data = _encode_judge(self.ground.module, entry_point, inputs)
            (told,) = JUDGE.decode_result(await self._call(self.ground.account, data, records))
            assert isinstance(told, bytes)
            assert len(told) == VERDICT_LENGTH * len(inputs)
            verdicts += [_read(told[at : at + VERDICT_LENGTH]) for at in range(0, len(told), VERDICT_LENGTH)]
        return verdicts

    async def record(self, permission: PermissionId, records: dict[PermissionId, SessionRecord]) -> SessionRecord:
        """Read a session through the module's own function, with the overrides that `judge` applies."""
        asked = SESSION_OF.encode_call(self.ground.account, permission)
        return decode_session(await self._call(self.ground.module, asked, records))

    async def _call(self, to: Address, data: bytes, records: dict[PermissionId, SessionRecord]) -> bytes:
        words: dict[str, str] = {}
        for permission, record in records.items():
            session, caps = pack_record(record)
            words[self._place("session", permission)] = to_data(session)
            words[self._place("caps", permission)] = to_data(caps)
        overrides = {
            to_data(self.ground.account): {"code": to_data(oracle_code())},
            to_data(self.ground.module): {"stateDiff": words},
        }
        asked = {"from": to_data(GAMES[0]), "to": to_data(to), "data": to_data(data), "gas": hex(GAS)}
        return from_data(await self._node.request(str, "eth_call", asked, "latest", overrides))

    def _place(self, name: str, permission: PermissionId) -> str:
        inner = keccak256(permission + self._slots[name].to_bytes(32, "big"))
        return to_data(keccak256(bytes(12) + self.ground.account + inner))

    async def _find_slots(self) -> dict[str, int]:
        """Find the module's two mappings by writing to each slot in turn; a change of its layout is found here."""
        permission = PermissionId(keccak256(b"nobody granted this"))
        wanted = SessionRecord(SessionState.LIVE, 7, 8, 9, 10, 11, 12)  # type: ignore[arg-type]
        found: dict[str, int] = {}
        for slot in range(SLOTS_MAX):
            self._slots = {"session": slot, "caps": SLOTS_MAX}
            if (await self.record(permission, {permission: wanted})).uses == wanted.uses:
                found["session"] = slot
            self._slots = {"session": SLOTS_MAX, "caps": slot}
            if (await self.record(permission, {permission: wanted})).lane1 == wanted.lane1:
                found["caps"] = slot
        assert found.keys() == {"session", "caps"}, f"the module's words are not where they are looked for: {found}"
        self._slots = found
        assert await self.record(permission, {permission: wanted}) == wanted, "the module's words are packed otherwise"
        return found


def pack_record(record: SessionRecord) -> tuple[bytes, bytes]:
    """Write the two words that hold a record. Source: SlotLib.sol."""
    session = b"".join(
        (
            bytes((record.state.value,)),
            record.epoch.to_bytes(4, "big"),
            record.uses.to_bytes(4, "big"),
            record.arrival_ms.to_bytes(6, "big"),
            record.gas_spent_wei.to_bytes(17, "big"),
        )
    )
    return session, record.lane1.to_bytes(16, "big") + record.lane0.to_bytes(16, "big")


def encode_operation(op: PackedUserOperation) -> bytes:
    """Encode an operation as a tuple of the contract ABI."""
    at = 32 * 9
    init_code, call_data = _dynamic(op.init_code), _dynamic(op.call_data)
    paymaster, signature = _dynamic(op.paymaster_and_data), _dynamic(op.signature)
    words = (
        int.from_bytes(op.sender, "big"),
        op.nonce,
        at,
        at + len(init_code),
        int.from_bytes(op.account_gas_limits, "big"),
        op.pre_verification_gas,
        int.from_bytes(op.gas_fees, "big"),
        at + len(init_code) + len(call_data),
        at + len(init_code) + len(call_data) + len(paymaster),
    )
    return b"".join([*(word.to_bytes(32, "big") for word in words), init_code, call_data, paymaster, signature])


def _portions(inputs: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Share inputs out over requests that are not too large for an event loop to send at once."""
    portion: list[bytes] = []
    size = 0
    for each in inputs:
        if portion and size + len(each) > REQUEST_BYTES_MAX:
            yield portion
            portion, size = [], 0
        portion.append(each)
        size += len(each)
    if portion:
        yield portion


def _encode_judge(module: Address, entry_point: Address, inputs: Sequence[bytes]) -> bytes:
    heads, tails, at = [], [], 32 * len(inputs)
    for each in inputs:
        heads.append(at.to_bytes(32, "big"))
        tails.append(_dynamic(each))
        at += len(tails[-1])
    words = (module, entry_point, (96).to_bytes(32, "big"), len(inputs).to_bytes(32, "big"))
    return JUDGE.selector + b"".join([*(word.rjust(32, b"\x00") for word in words), *heads, *tails])


def _dynamic(data: bytes) -> bytes:
    return len(data).to_bytes(32, "big") + data + bytes(-len(data) % 32)


def _read(verdict: bytes) -> ContractVerdict:
    kind = Kind(verdict[0])
    error = ""
    if kind is Kind.REFUSED:
        error = ERRORS.get(verdict[1:5], "0x" + verdict[1:5].hex())
    return ContractVerdict(
        kind=kind,
        error=error,
        gas=int.from_bytes(verdict[8:16], "big"),
        valid_after=int.from_bytes(verdict[32:38], "big"),
        valid_until=int.from_bytes(verdict[38:44], "big"),
        record=unpack_session_slot(verdict[64:96], verdict[96:128]),
    )
