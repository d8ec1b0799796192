import copy
from typing import Any

import pytest
from msgspec import convert
from msgspec.structs import fields

from gamekit.chain.blocks import RpcBlock, check_block
from gamekit.errors import ChainUnavailable
from gamekit.eth.abi import decode
from gamekit.eth.abi_text import parse_type
from gamekit.eth.entry_point import USER_OPERATION_EVENT, encode_handle_ops
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import selector, to_hex
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Address, Gas, Wei
from tests.campaigns import lies

SENDER = Address(b"\x05" * 20)
ENTRY_POINT = "0x" + "ee" * 20
HASH = "0x" + "ab" * 32


def bundle(count: int) -> str:
    operations = [
        UserOperation(
            sender=SENDER,
            nonce=7 + place,
            call_data=b"\x01" * (10 + 40 * place),
            call_gas_limit=Gas(1),
            verification_gas_limit=Gas(2),
            pre_verification_gas=Gas(3),
            max_fee_per_gas=Wei(4),
            max_priority_fee_per_gas=Wei(5),
            signature=b"\x09" * 65,
        )
        for place in range(count)
    ]
    return to_hex(encode_handle_ops(operations, SENDER, EntryPointVersion.V08))


def receipts() -> list[dict[str, Any]]:
    words = (7, 1, 10, 10)
    event = {
        "address": ENTRY_POINT,
        "topics": [lies.USER_OPERATION_EVENT, HASH, "0x" + SENDER.hex().rjust(64, "0"), "0x" + "00" * 32],
        "data": "0x" + b"".join(word.to_bytes(32, "big") for word in words).hex(),
    }
    other = {"address": ENTRY_POINT, "topics": ["0x" + "01" * 32], "data": "0x"}
    place = {"blockHash": "0xb", "blockNumber": "0x1", "transactionHash": "0xc", "transactionIndex": "0x0"}
    return [{**place, "logs": [other]}, {**place, "logs": [event, other]}]


def test_constants_are_the_entry_points() -> None:
    packed = "(address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)"
    assert selector(f"getUserOpHash({packed})").hex() == lies.GET_USER_OP_HASH
    assert selector(f"handleOps({packed}[],address)").hex() == lies.HANDLE_OPS
    assert to_hex(USER_OPERATION_EVENT.topic) == lies.USER_OPERATION_EVENT


@pytest.mark.parametrize("count", [1, 2, 5])
def test_operations_default(count: int) -> None:
    """Each question is the canonical calldata of getUserOpHash for that operation."""
    found = list(lies.operations(ENTRY_POINT, bundle(count)))
    assert [(each.sender, each.nonce) for each in found] == [(to_hex(SENDER), 7 + n) for n in range(count)]
    kind = parse_type("(address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)")
    for place, each in enumerate(found):
        (fields,) = decode((kind,), bytes.fromhex(each.question[10:]))
        assert isinstance(fields, tuple)
        assert (fields[0], fields[1], fields[3]) == (SENDER, 7 + place, b"\x01" * (10 + 40 * place))


def test_operations_args_other_calldata() -> None:
    assert list(lies.operations(ENTRY_POINT, "0x12345678")) == []


def test_mined_default() -> None:
    assert list(lies.mined(receipts())) == [HASH]


def test_with_forged_default() -> None:
    (operation,) = lies.operations(ENTRY_POINT, bundle(1))
    forged = lies.with_forged(receipts(), operation, "0x" + "cd" * 32)
    assert forged is not None
    assert list(lies.mined(forged)) == [HASH, "0x" + "cd" * 32]
    assert len(forged) == len(receipts())


def test_with_forged_args_empty_block() -> None:
    (operation,) = lies.operations(ENTRY_POINT, bundle(1))
    assert lies.with_forged([], operation, HASH) is None


def test_with_other_outcome_default() -> None:
    forged = lies.with_other_outcome(receipts())
    assert forged is not None
    assert forged[1]["logs"][0]["data"][2 + 64 : 2 + 128] == "00" * 32


def test_without_operation_default() -> None:
    forged = lies.without_operation(receipts())
    assert forged is not None
    assert list(lies.mined(forged)) == []
    assert len(forged) == len(receipts())


def test_behavior_the_truth_is_left_as_it_was() -> None:
    true = receipts()
    (operation,) = lies.operations(ENTRY_POINT, bundle(1))
    lies.with_forged(true, operation, HASH)
    lies.with_other_outcome(true)
    lies.without_operation(true)
    assert true == receipts() == copy.deepcopy(true)


def test_with_wrong_hash_default() -> None:
    assert lies.with_wrong_hash(HASH) == HASH[:-1] + "0"
    assert lies.with_wrong_hash({"hash": "0x" + "00" * 32, "number": "0x1"}) == {
        "hash": "0x" + "00" * 31 + "01",
        "number": "0x1",
    }
    assert lies.with_wrong_hash("0x1") is None


def test_at_height_default() -> None:
    assert lies.at_height("eth_getBlockByNumber", ["latest", False], 5) == ["0x5", False]
    assert lies.at_height("eth_call", [{"to": "0x"}, "latest"], 5) == [{"to": "0x"}, "0x5"]
    assert lies.at_height("eth_getBlockByNumber", ["finalized", False], 5) is None
    assert lies.at_height("eth_call", [{"to": "0x"}, {"blockHash": HASH}], 5) is None
    assert lies.at_height("eth_chainId", [], 5) is None


def test_of_another_fork_proves_itself() -> None:
    names = (field.encode_name for field in fields(RpcBlock))
    left_out = {"requestsHash", "blobGasUsed", "hash", "transactions"}
    block = {name: "0x07" for name in names if name not in left_out} | {"hash": HASH, "transactions": []}
    other = lies.of_another_fork(block)
    assert isinstance(other, dict)
    assert {name for name in block if block[name] != other[name]} == {"extraData", "hash"}
    check_block(convert(other, RpcBlock))
    with pytest.raises(ChainUnavailable):
        check_block(convert(block, RpcBlock))
    assert lies.of_another_fork(None) is None
    assert lies.of_another_fork({"hash": HASH}) is None
