"""ERC-7562 on a trace: no banned opcode in validation, and only storage that is the account's or associated with it.

Validation is traced as the EntryPoint calls it, `account.validateUserOp` with everything below, so the account's own
code is judged as well as the session validator's. For each slot outside the account the preimage of its hash is looked
up among what was hashed in the same trace.

`python -m tests.proof.storage_rules` prints what each account does in validation.

Source: ERC-7562, opcode rules OP-011 to OP-080, storage rules STO-010 to STO-033.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gamekit.chain.rpc import to_data
from gamekit.eth.hashing import keccak256
from gamekit.eth.interface import Function
from gamekit.eth.user_op_hash import user_op_hash
from gamekit.eth.user_operation import UserOperation, pack
from gamekit.units import Address

if TYPE_CHECKING:
    from tests.proof.escapes.world import World

ASSOCIATED_MAX: Final = 128
"""An associated slot is the hash of a preimage that begins with the account, plus at most so much."""


def _words(text: str) -> list[str]:
    return text.split()


BANNED: Final = {
    "OP-011": _words(
        "ORIGIN GASPRICE BLOCKHASH COINBASE TIMESTAMP NUMBER PREVRANDAO DIFFICULTY GASLIMIT BASEFEE BLOBHASH"
        " BLOBBASEFEE CREATE SELFDESTRUCT INVALID"
    ),
    "OP-031": ["CREATE2"],
    "OP-080": ["BALANCE", "SELFBALANCE"],
}
"""Opcodes that nobody may execute in the validation of an account that exists, by the rule that says so."""
CALLS: Final = ("CALL", "CALLCODE", "DELEGATECALL", "STATICCALL")
CODE_READERS: Final = ("EXTCODESIZE", "EXTCODECOPY", "EXTCODEHASH")
STORAGE: Final = ("SLOAD", "SSTORE", "TLOAD", "TSTORE")
PRECOMPILES_MAX: Final = 9
"""Precompiles 1 to 9 may be called (OP-062)."""
EMPTY_CODE_HASH: Final = keccak256(b"")

VALIDATE_USER_OP: Final = Function.parse(
    "validateUserOp((address sender,uint256 nonce,bytes init_code,bytes call_data,bytes32 account_gas_limits,"
    "uint256 pre_verification_gas,bytes32 gas_fees,bytes paymaster_and_data,bytes signature) op,bytes32 hash,"
    "uint256 missing)",
    "uint256 data",
)

PLAIN: Final = [
    *_words(
        "STOP ADD MUL SUB DIV SDIV MOD SMOD ADDMOD MULMOD EXP SIGNEXTEND LT GT SLT SGT EQ ISZERO AND OR XOR NOT BYTE"
    ),
    *_words(
        "SHL SHR SAR CLZ KECCAK256 ADDRESS CALLER CALLVALUE CALLDATALOAD CALLDATASIZE CALLDATACOPY CODESIZE CODECOPY"
    ),
    *_words(
        "RETURNDATASIZE RETURNDATACOPY CHAINID POP MLOAD MSTORE MSTORE8 SLOAD SSTORE JUMP JUMPI PC MSIZE GAS JUMPDEST"
    ),
    *_words("TLOAD TSTORE MCOPY LOG0 LOG1 LOG2 LOG3 LOG4 CALL CALLCODE DELEGATECALL STATICCALL RETURN REVERT"),
    *_words("EXTCODESIZE EXTCODECOPY EXTCODEHASH"),
    *(f"{name}{number}" for name, most in (("PUSH", 32), ("DUP", 16), ("SWAP", 16)) for number in range(most + 1)),
]
"""Opcodes without a rule of their own, or whose rule is checked where they act. All others are told by name."""

TRACER: Final = """{
  steps: 0, others: [], hashes: [], slots: [], calls: [], gas: [], faults: [], depth: 0, here: '', afterGas: false,
  plain: PLAIN, storage: STORAGE, callers: CALLS, readers: READERS,
  word: function (log, place) { return log.stack.peek(place).toString(16) },
  step: function (log) {
    var op = log.op.toString(), depth = log.getDepth();
    this.steps++;
    if (depth !== this.depth) { this.depth = depth; this.here = toHex(log.contract.getAddress()) }
    if (this.afterGas) { this.afterGas = false; if (!this.callers[op]) this.gas.push([this.here, op]) }
    if (!this.plain[op]) this.others.push([this.here, op]);
    else if (op === 'GAS') this.afterGas = true;
    else if (op === 'KECCAK256') {
      var from = parseInt(this.word(log, 0), 16), length = parseInt(this.word(log, 1), 16);
      if (length <= 1024) this.hashes.push(length === 0 ? '0x' : toHex(log.memory.slice(from, from + length)));
    } else if (this.storage[op]) this.slots.push([this.here, op, this.word(log, 0)]);
    else if (this.callers[op]) {
      var value = op === 'CALL' || op === 'CALLCODE' ? this.word(log, 2) : '0';
      // How much data goes along stands behind the value, where there is one.
      var data = this.word(log, op === 'CALL' || op === 'CALLCODE' ? 4 : 3);
      this.calls.push([this.here, op, this.word(log, 1), value, data]);
    } else if (this.readers[op]) this.calls.push([this.here, op, this.word(log, 0), '0', '0']);
  },
  fault: function (log) { this.faults.push(log.op.toString()) },
  result: function () {
    return {steps: this.steps, others: this.others, hashes: this.hashes, slots: this.slots, calls: this.calls,
            gas: this.gas, faults: this.faults};
  }
}"""
"""Collects what the rules are about; runs inside the node."""


class Trace(Struct, frozen=True):
    """What happened in one validation; addresses and words in hexadecimal."""

    steps: int
    others: list[tuple[str, str]] = []
    """Contract and opcode, of those that are not plain. The contract is the one whose storage it would touch."""
    hashes: list[str] = []
    """What was hashed, up to a kilobyte each."""
    slots: list[tuple[str, str, str]] = []
    """Contract, opcode, slot."""
    calls: list[tuple[str, str, str, str, str]] = []
    """From, opcode, to, value, bytes of data; also reads of another contract's code."""
    gas: list[tuple[str, str]] = []
    """Contract, and what followed on GAS that is no call."""
    faults: list[str] = []
    """Opcodes at which a frame failed: out of gas, a bad jump."""


class Rules(Struct, frozen=True):
    """What a trace is judged by."""

    account: Address
    entry_point: Address
    code_hashes: Mapping[Address, bytes]
    """Of every contract that the trace names."""


def violations(trace: Trace, rules: Rules) -> list[str]:
    """Say which rules a trace breaks, each as its name and what broke it."""
    return [*_opcodes(trace), *_calls(trace, rules), *_storage(trace, rules)]


def _opcodes(trace: Trace) -> list[str]:
    rules = {opcode: rule for rule, opcodes in BANNED.items() for opcode in opcodes}
    found = [f"{rules.get(opcode, 'OP-013')}: {where} executes {opcode}" for where, opcode in trace.others]
    found += [f"OP-012: GAS before {opcode} in {where}" for where, opcode in trace.gas]
    return found + [f"OP-020: a frame failed at {opcode}" for opcode in trace.faults]


def _calls(trace: Trace, rules: Rules) -> list[str]:
    found = []
    for where, opcode, to, value, data in trace.calls:
        target, named = _address(to), f"{opcode} from {where} to 0x{_address(to).hex()}"
        is_payment = target == rules.entry_point and _address(where) == rules.account and not int(data, 16)
        if is_payment and opcode == "CALL":
            continue  # OP-053: the account pays what it owes by a plain transfer
        is_precompile = 1 <= int(to, 16) <= PRECOMPILES_MAX
        if target == rules.entry_point:
            found.append(f"OP-054: {named}")
        elif not is_precompile and target != rules.account and rules.code_hashes.get(target) in (None, EMPTY_CODE_HASH):
            found.append(f"OP-041: {named}, which has no code")
        if int(value, 16):
            found.append(f"OP-061: {named} carries value")
    return found


def _storage(trace: Trace, rules: Rules) -> list[str]:
    """Slots of other contracts must be associated with the account: STO-021."""
    bases = associated_bases(trace, rules.account)
    found = []
    for where, opcode, slot in trace.slots:
        contract, number = _address(where), int(slot, 16)
        if contract == rules.account or number == int.from_bytes(rules.account, "big"):
            continue
        if not any(0 <= number - base <= ASSOCIATED_MAX for base in bases):
            found.append(f"STO-021: {opcode} of 0x{contract.hex()} at {number:#x}, which is nobody's")
    return found


def associated_bases(trace: Trace, account: Address) -> set[int]:
    """Give the hashes whose preimage begins with the account, padded to a word, as a mapping by address makes them."""
    padded = account.rjust(32, b"\x00")
    preimages = [bytes.fromhex(each[2:]) for each in trace.hashes]
    return {int.from_bytes(keccak256(each), "big") for each in preimages if each[:32] == padded}


def _address(word: str) -> Address:
    return Address(int(word, 16).to_bytes(32, "big")[-20:])


async def trace_validation(world: "World", op: UserOperation, owed_wei: int = 0) -> Trace:
    """Trace the validation of an operation, as the EntryPoint calls it.

    Args:
        world: where.
        op: what is validated.
        owed_wei: what the account's deposit lacks, and the account is to pay.
    """
    name = user_op_hash(op, world.where.version, world.where.entry_point, 31337)  # type: ignore[arg-type]
    packed = pack(op, world.where.version)
    fields = tuple(getattr(packed, each) for each in packed.__struct_fields__)
    asked = {
        "from": to_data(world.where.entry_point),
        "to": to_data(op.sender),
        "data": to_data(VALIDATE_USER_OP.encode_call(fields, name, owed_wei)),
        "gas": hex(op.verification_gas_limit),
    }
    script = TRACER
    for word, names in (("CALLS", CALLS), ("STORAGE", STORAGE), ("READERS", CODE_READERS), ("PLAIN", PLAIN)):
        script = script.replace(word, str(dict.fromkeys(names, 1)))
    return await world.node.request(Trace, "debug_traceCall", asked, "latest", {"tracer": script})


async def judge(world: "World", op: UserOperation, owed_wei: int = 0) -> tuple[Trace, list[str]]:
    """Trace an operation's validation and judge it. What the account owes the EntryPoint must be paid in it."""
    trace = await trace_validation(world, op, owed_wei)
    paid = sum(int(value, 16) for _, _, to, value, _ in trace.calls if _address(to) == world.where.entry_point)
    assert paid == owed_wei, f"paid {paid} wei of {owed_wei}"
    addresses = {_address(to) for _, _, to, _, _ in trace.calls}
    codes = {each: await world.node.request(str, "eth_getCode", to_data(each), "latest") for each in addresses}
    hashes = {each: keccak256(bytes.fromhex(code[2:])) for each, code in codes.items()}
    return trace, violations(trace, Rules(op.sender, world.where.entry_point, hashes))


def summary(world: "World", trace: Trace, found: Sequence[str]) -> str:
    """Say in a line what a validation did."""
    outside = {(where, slot) for where, _, slot in trace.slots if _address(where) != world.account}
    own = {slot for where, _, slot in trace.slots if _address(where) == world.account}
    verdict = "; ".join(found) or "no violation"
    return f"{world.name:20} {trace.steps:6} steps, {len(own):2} own and {len(outside):2} associated slots: {verdict}"


if __name__ == "__main__":
    from tests.proof.escapes.suite import print_storage

    asyncio.run(print_storage())
