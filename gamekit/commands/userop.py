"""`gamekit userop`: hashes of user operations, and what an operation and an AAxx error mean."""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from gamekit.commands.output import Output
from gamekit.core.policy import SLACK_S, Denied
from gamekit.core.scope import Scope
from gamekit.core.usage import max_cost
from gamekit.errors import EncodingInvalid
from gamekit.eth.calldata import decode_execute
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import checksum_address, parse_address, to_hex
from gamekit.eth.scope_form import shown_scope
from gamekit.eth.session_validator import Envelope, decode_envelope
from gamekit.eth.user_op_hash import user_op_hash
from gamekit.eth.user_operation import UserOperation, split_nonce
from gamekit.eth.user_operation_rpc import delegate_from_rpc, from_rpc
from gamekit.eth.validation_code import VALIDATION_CODES, ValidationCode, validation_code
from gamekit.units import Address, ChainId

WEI_PER_GWEI = 10**9


class Target(Struct, frozen=True):
    """Which EntryPoint the operations are for."""

    version: EntryPointVersion
    chain_id: ChainId
    """0 where nobody said; then there is no hash."""
    entry_point: Address
    delegate: Address | None


def target(version: str, chain_id: int, entry_point: str, delegate: str) -> Target:
    """Read the options. Raises EncodingInvalid for what is no address, or a chain id below 1."""
    known = EntryPointVersion(version)
    if chain_id < 0:
        raise EncodingInvalid(f"a chain id is at least 1, got {chain_id}", chain_id=chain_id)
    return Target(
        known,
        ChainId(chain_id),
        parse_address(entry_point) if entry_point else known.canonical_address,
        parse_address(delegate) if delegate else None,
    )


def read(file: str) -> list[object]:
    """Read one operation or an array of them; `-` is standard input.

    Raises: EncodingInvalid when there is no such file or it is not JSON.
    """
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        value: object = msgspec.json.decode(data)
    except OSError as error:
        raise EncodingInvalid(f"cannot read {file}: {error.strerror}", file=file) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EncodingInvalid(f"{file} is not JSON: {error}", file=file) from error
    return value if isinstance(value, list) else [value]


def print_hashes(operations: Sequence[object], where: Target, output: Output) -> None:
    """Print each operation's hash. Raises EncodingInvalid naming the operation by its place."""
    if not where.chain_id:
        raise EncodingInvalid("a chain id is at least 1, got 0", chain_id=0)
    hashes = [_hash(fields, where, place) for place, fields in enumerate(operations)]
    output.put(hashes, "\n".join(hashes))


def print_words(operations: Sequence[object], where: Target, error: str, output: Output) -> None:
    """Explain operations, and what the EntryPoint said to them."""
    told = [_describe(fields, where, place) for place, fields in enumerate(operations)]
    words = "\n\n".join("\n".join(f"{name}: {value}" for name, value in each.items()) for each in told)
    code = _code(error, where.version) if error else None
    if code is not None:
        words += f"\n\n{code['code']}: {code['meaning']}\n{code['advice']}"
    output.put({"operations": told, "error": code} if code else {"operations": told}, words)


def _read_one(fields: object, where: Target, place: int) -> UserOperation:
    try:
        return from_rpc(fields, where.version)
    except EncodingInvalid as error:
        raise EncodingInvalid(f"operation {place}: {error}", place=place, **error.compared) from error


def _hash(fields: object, where: Target, place: int) -> str:
    op = _read_one(fields, where, place)
    delegate = where.delegate or delegate_from_rpc(fields)
    try:
        return to_hex(user_op_hash(op, where.version, where.entry_point, where.chain_id, delegate))
    except EncodingInvalid as error:
        raise EncodingInvalid(f"operation {place}: {error}", place=place, **error.compared) from error


def _describe(fields: object, where: Target, place: int) -> dict[str, object]:
    op = _read_one(fields, where, place)
    key, sequence = split_nonce(op.nonce)
    gas = op.pre_verification_gas + op.verification_gas_limit + op.call_gas_limit
    gas += op.paymaster_verification_gas_limit + op.paymaster_post_op_gas_limit
    cost = max_cost(op)
    told: dict[str, object] = {}
    if where.chain_id:
        told["hash"] = _hash(fields, where, place)
    told |= {
        "account": checksum_address(op.sender),
        "place": f"number {sequence} on nonce key {key:#x}",
        "costs at most": f"{gas} gas at {op.max_fee_per_gas / WEI_PER_GWEI:g} gwei: "
        + (cost.reason if isinstance(cost, Denied) else f"{cost} wei"),
        "paid by": checksum_address(op.paymaster) if op.paymaster else "the account",
    }
    if op.factory is not None:
        told["creates the account by"] = checksum_address(op.factory)
    return told | _execution(op)


def _execution(op: UserOperation) -> dict[str, object]:
    """Say what it executes, and under which session, as far as its bytes tell."""
    try:
        execution = decode_execute(op.call_data)
    except EncodingInvalid as error:
        return {
            "executes": f"{to_hex(op.call_data[:4])} with {len(op.call_data)} bytes; no session can do that ({error})"
        }
    mode = "each call by itself" if execution.mode.is_try else "all calls or none"
    calls = [
        f"{to_hex(call.data[:4])} of {checksum_address(call.target)}, value {call.value} wei, {len(call.data)} bytes"
        for call in execution.calls
    ]
    told: dict[str, object] = {"executes": mode, "calls": calls}
    try:
        envelope = decode_envelope(op.signature, len(calls))
        scope = Scope.unpack(shown_scope(envelope.scope, envelope.witnesses))
    except EncodingInvalid:
        return told
    return told | _session(envelope, scope)


def _session(envelope: Envelope, scope: Scope) -> dict[str, object]:
    until = min(envelope.deadline, envelope.claimed_at + SLACK_S, scope.time.valid_until)
    return {
        "signed by session key": checksum_address(scope.signer),
        "valid": f"from {max(envelope.claimed_at, scope.time.valid_after)} to {until}, unix seconds",
        "session ends": scope.time.valid_until,
    }


def _code(error: str, version: EntryPointVersion) -> dict[str, str]:
    found = validation_code(error.strip().upper()[:4])
    if found is None:
        raise EncodingInvalid(f"no EntryPoint says {error[:80]!r}; known codes are {', '.join(VALIDATION_CODES)}")
    return {
        "code": found.code,
        "meaning": found.meaning + _elsewhere(found, version),
        "fault": found.fault.value,
        "outcome": found.outcome.value,
        "advice": found.advice,
    }


def _elsewhere(code: ValidationCode, version: EntryPointVersion) -> str:
    if version in code.versions:
        return ""
    known = ", ".join(sorted(each.value for each in code.versions))
    return f" (EntryPoint {version.value} never says this; {known} does.)"
