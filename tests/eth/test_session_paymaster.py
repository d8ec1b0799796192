"""What is declared by heart is what the compiled paymaster has; digests and data are what it takes (tests/devnet)."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from gamekit.contracts import artifact
from gamekit.errors import EncodingInvalid
from gamekit.eth.abi import Parameter, encode
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import checksum_address, keccak256, to_hex
from gamekit.eth.interface import ERROR, PANIC, Interface
from gamekit.eth.session_paymaster import (
    GAME_OF,
    PLAYER_OF,
    SESSION_PAYMASTER,
    SPONSOR,
    SPONSORSHIP_OF,
    GameRecord,
    PlayerRecord,
    SponsorshipRecord,
    Voucher,
    decode_game,
    decode_player,
    decode_sponsorship,
    encode_sponsor,
    game_number,
    session_data,
    signed_data,
    sponsor_operation_digest,
    voucher_digest,
    with_sponsor_signature,
)
from gamekit.eth.typed_data import typed_data_digest
from gamekit.eth.user_operation import PackedUserOperation, UserOperation, pack
from gamekit.units import Address, ChainId, Gas, PermissionId, UnixSeconds, Wei

CHAIN = ChainId(31337)
PAYMASTER, ACCOUNT = Address(b"\x99" * 20), Address(b"\xac" * 20)
PERMISSION = PermissionId(b"\x0e" * 32)
VOUCHER = Voucher(ACCOUNT, PERMISSION, game_number("arena"), Wei(10**18), UnixSeconds(1_800_000_060), b"\x05" * 65)
THEIRS = {
    "InvalidShortString",
    "StringTooLong",
    "OwnableInvalidOwner",
    "OwnableUnauthorizedAccount",
}
"""Errors that OpenZeppelin's parts bring."""


@pytest.fixture(scope="module")
def compiled() -> Interface:
    return Interface.from_json(artifact("SessionPaymaster").abi)


def test_functions_behavior_equal_artifact(compiled: Interface) -> None:
    for signature, function in SESSION_PAYMASTER.functions.items():
        there = compiled.functions[signature]
        assert [p.name for p in function.inputs] == [p.name for p in there.inputs]
        assert [p.type.canonical for p in function.outputs] == [p.type.canonical for p in there.outputs]
        assert function.state_mutability == there.state_mutability


def test_events_behavior_equal_artifact(compiled: Interface) -> None:
    for topic, event in SESSION_PAYMASTER.events.items():
        there = compiled.events[topic]
        assert [(p.name, p.indexed) for p in event.inputs] == [(p.name, p.indexed) for p in there.inputs]


def test_errors_behavior_equal_artifact(compiled: Interface) -> None:
    there = {error.signature: [p.name for p in error.inputs] for error in compiled.errors.values()}
    ours = {error.signature: [p.name for p in error.inputs] for error in SESSION_PAYMASTER.errors.values()}
    plain = {ERROR.signature, PANIC.signature}
    assert {key: names for key, names in ours.items() if key not in plain} == {
        key: names for key, names in there.items() if key not in plain and key.partition("(")[0] not in THEIRS
    }


def test_game_number_default() -> None:
    assert game_number("arena") == int.from_bytes(keccak256(b"arena")[:4], "big")


class TestVoucher:
    def test_digest_is_that_of_typed_data(self) -> None:
        fields = {"account": "address", "permissionId": "bytes32", "game": "uint32", "generation": "uint32"}
        fields |= {"limitWei": "uint96", "deadline": "uint48"}
        message = {"account": checksum_address(ACCOUNT), "permissionId": to_hex(PERMISSION), "game": VOUCHER.game}
        message |= {"generation": 3, "limitWei": VOUCHER.limit_wei, "deadline": VOUCHER.deadline}
        assert voucher_digest(CHAIN, PAYMASTER, VOUCHER, 3) == _digest("SponsorSession", fields, message)

    def test_encode(self) -> None:
        decoded = SPONSOR.decode_call(encode_sponsor(VOUCHER))
        assert decoded == (ACCOUNT, PERMISSION, VOUCHER.game, 10**18, 1_800_000_060, b"\x05" * 65)

    @pytest.mark.parametrize(("field", "value"), [("limit_wei", 1 << 96), ("limit_wei", -1), ("deadline", 1 << 48)])
    def test_error_does_not_fit(self, field: str, value: int) -> None:
        with pytest.raises(EncodingInvalid):
            voucher_digest(CHAIN, PAYMASTER, replace(VOUCHER, **{field: value}), 1)


class TestData:
    def test_of_a_session(self) -> None:
        assert session_data(UnixSeconds(258), PERMISSION) == bytes.fromhex("01000000000102") + PERMISSION

    def test_of_a_signed_operation(self) -> None:
        data = signed_data(UnixSeconds(1), UnixSeconds(2), 0xA0B0C0D0, b"\x07" * 65)
        assert data == bytes.fromhex("02000000000001000000000002a0b0c0d0") + b"\x07" * 65
        assert signed_data(UnixSeconds(1), UnixSeconds(2), 0xA0B0C0D0)[-65:] == bytes(65)

    def test_errors(self) -> None:
        with pytest.raises(EncodingInvalid, match="48 bits"):
            session_data(UnixSeconds(1 << 48), PERMISSION)
        with pytest.raises(EncodingInvalid, match="65 bytes"):
            signed_data(UnixSeconds(1), UnixSeconds(2), 1, b"short")
        with pytest.raises(EncodingInvalid, match="65 bytes"):
            with_sponsor_signature(_operation(), b"short")


class TestOperation:
    def test_digest_is_that_of_typed_data(self) -> None:
        op = _operation()
        packed = pack(op, EntryPointVersion.V08)
        assert isinstance(packed, PackedUserOperation)
        fields = {"sender": "address", "nonce": "uint256", "initCode": "bytes", "callData": "bytes"}
        fields |= {"accountGasLimits": "bytes32", "preVerificationGas": "uint256", "gasFees": "bytes32"}
        fields |= {"paymasterAndData": "bytes", "generation": "uint32"}
        message = {"sender": checksum_address(op.sender), "nonce": op.nonce, "initCode": "0x"}
        message |= {"callData": to_hex(op.call_data), "accountGasLimits": to_hex(packed.account_gas_limits)}
        message |= {"preVerificationGas": packed.pre_verification_gas, "gasFees": to_hex(packed.gas_fees)}
        message |= {"paymasterAndData": to_hex(packed.paymaster_and_data[:-65]), "generation": 2}
        expected = _digest("SponsorOperation", fields, message)
        assert sponsor_operation_digest(CHAIN, op, EntryPointVersion.V08, 2) == expected

    def test_signatures_are_no_part_of_it(self) -> None:
        op = _operation()
        signed = replace(with_sponsor_signature(op, b"\x09" * 65), signature=b"anything")
        assert signed.paymaster_data[-65:] == b"\x09" * 65
        version = EntryPointVersion.V07
        assert sponsor_operation_digest(CHAIN, op, version, 1) == sponsor_operation_digest(CHAIN, signed, version, 1)

    def test_errors(self) -> None:
        alone = replace(_operation(), paymaster=None, paymaster_data=b"", paymaster_verification_gas_limit=Gas(0))
        with pytest.raises(EncodingInvalid, match=r"0\.7 and later"):
            sponsor_operation_digest(CHAIN, alone, EntryPointVersion.V07, 1)
        of_a_session = replace(_operation(), paymaster_data=session_data(UnixSeconds(1), PERMISSION))
        with pytest.raises(EncodingInvalid, match="39 bytes, needs 82"):
            sponsor_operation_digest(CHAIN, of_a_session, EntryPointVersion.V07, 1)


class TestRecords:
    def test_game(self) -> None:
        values = (1, 2, 3, 4, PAYMASTER, 5, 6)
        (returned,) = (_encode(GAME_OF.outputs, (values,)),)
        assert decode_game(returned) == GameRecord(1, 2, Wei(3), Wei(4), PAYMASTER, Wei(5), Wei(6))

    def test_player(self) -> None:
        assert decode_player(_encode(PLAYER_OF.outputs, ((2, 3),))) == PlayerRecord(2, Wei(3))

    def test_sponsorship(self) -> None:
        returned = _encode(SPONSORSHIP_OF.outputs, ((1, 2, 3, 4),))
        assert decode_sponsorship(returned) == SponsorshipRecord(1, 2, Wei(3), Wei(4))


def _encode(outputs: Sequence[Parameter], values: Sequence[object]) -> bytes:
    return encode(tuple(each.type for each in outputs), values)


def _operation() -> UserOperation:
    return UserOperation(
        sender=ACCOUNT,
        nonce=5 << 64,
        call_data=b"play",
        call_gas_limit=Gas(100_000),
        verification_gas_limit=Gas(200_000),
        pre_verification_gas=Gas(50_000),
        max_fee_per_gas=Wei(10),
        max_priority_fee_per_gas=Wei(1),
        paymaster=PAYMASTER,
        paymaster_verification_gas_limit=Gas(90_000),
        paymaster_data=signed_data(UnixSeconds(1), UnixSeconds(61), game_number("arena")),
    )


def _digest(name: str, fields: dict[str, str], message: dict[str, object]) -> bytes:
    domain = {"name": "string", "version": "string", "chainId": "uint256", "verifyingContract": "address"}
    types = {
        "EIP712Domain": [{"name": key, "type": kind} for key, kind in domain.items()],
        name: [{"name": key, "type": kind} for key, kind in fields.items()],
    }
    about = {"name": "gamekit SessionPaymaster", "version": "1", "chainId": CHAIN}
    about["verifyingContract"] = checksum_address(PAYMASTER)
    return typed_data_digest({"types": types, "primaryType": name, "domain": about, "message": message})
