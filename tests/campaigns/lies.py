"""What a lying node answers: true answers, bent. No input or output; nothing that is given is changed."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from gamekit.chain.blocks import HEADER, QUANTITIES
from gamekit.eth.hashing import keccak256, to_hex
from gamekit.eth.rlp import RlpItem, rlp_encode

HANDLE_OPS: Final = "765e827f"
GET_USER_OP_HASH: Final = "22cdde4c"
"""getUserOpHash(PackedUserOperation) of EntryPoint 0.7 and later."""
USER_OPERATION_EVENT: Final = "0x49628fd1471006c1482da88028e9ce4dbb080b815c9b0344d39e5a8e6ec1419f"

Receipts = list[dict[str, Any]]


class Simulated(NamedTuple):
    """One operation of a bundle that the server asked about: signed, and perhaps never to be mined."""

    entry_point: str
    sender: str
    nonce: int
    packed: bytes
    """The packed operation's words, without its offset."""

    @property
    def question(self) -> str:
        """Calldata that asks the entry point for the hash."""
        return "0x" + GET_USER_OP_HASH + (32).to_bytes(32, "big").hex() + self.packed.hex()


def operations(entry_point: str, calldata: str) -> Iterator[Simulated]:
    """Read the operations of handleOps calldata, 0x-hexadecimal; nothing for other calldata."""
    if not calldata.startswith("0x" + HANDLE_OPS):
        return
    data = bytes.fromhex(calldata[10:])
    base = _word(data, 0) + 32
    starts = [base + _word(data, base + 32 * place) for place in range(_word(data, base - 32))]
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        sender = "0x" + data[start + 12 : start + 32].hex()
        yield Simulated(entry_point.lower(), sender, _word(data, start + 32), data[start:end])


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 32], "big")


def mined(receipts: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The hashes of the operations that true receipts show."""
    for receipt in receipts:
        for log in receipt["logs"]:
            if _is_operation(log):
                yield log["topics"][1]


def with_forged(receipts: Receipts, operation: Simulated, user_op_hash: str) -> Receipts | None:
    """Add the success of an operation that is not in the block to its last receipt; None when the block is empty."""
    if not receipts:
        return None
    forged = copy.deepcopy(receipts)
    last = forged[-1]
    words = (operation.nonce, 1, 10**12, 10**5)
    last["logs"].append(
        {
            "address": operation.entry_point,
            "topics": [
                USER_OPERATION_EVENT,
                user_op_hash,
                "0x" + operation.sender[2:].rjust(64, "0"),
                "0x" + "00" * 32,
            ],
            "data": "0x" + b"".join(word.to_bytes(32, "big") for word in words).hex(),
            "blockHash": last["blockHash"],
            "blockNumber": last["blockNumber"],
            "transactionHash": last["transactionHash"],
            "transactionIndex": last["transactionIndex"],
            "logIndex": hex(sum(len(receipt["logs"]) for receipt in receipts)),
            "removed": False,
        }
    )
    return forged


def with_other_outcome(receipts: Receipts) -> Receipts | None:
    """Say the opposite of whether the first operation succeeded; None when there is none."""
    forged = copy.deepcopy(receipts)
    for receipt in forged:
        for log in receipt["logs"]:
            if _is_operation(log):
                data = bytearray.fromhex(log["data"][2:])
                data[63] ^= 1
                log["data"] = "0x" + data.hex()
                return forged
    return None


def without_operation(receipts: Receipts) -> Receipts | None:
    """Leave out what the first bundle of the block logged; None when there is none."""
    forged = copy.deepcopy(receipts)
    for receipt in forged:
        if any(map(_is_operation, receipt["logs"])):
            receipt["logs"] = []
            return forged
    return None


def with_wrong_hash(result: object) -> object | None:
    """Change the last digit of a hash, or of a block's; None when there is nothing to change."""
    if isinstance(result, str) and len(result) == 66:
        return result[:-1] + ("0" if result[-1] != "0" else "1")
    if isinstance(result, dict) and "hash" in result:
        return {**result, "hash": with_wrong_hash(result["hash"])}
    return None


def of_another_fork(block: object) -> object | None:
    """A block that could stand beside this one: its hash is that of its own header. None when it is no block."""
    if not isinstance(block, dict) or "receiptsRoot" not in block:
        return None
    other = {**block, "extraData": block["extraData"] + "f0"}
    fields: list[RlpItem] = []
    for name in HEADER:
        first, *rest = name.split("_")
        word = other.get(first + "".join(map(str.capitalize, rest)))
        if word is not None:
            fields.append(int(word, 16) if name in QUANTITIES else bytes.fromhex(word[2:]))
    return {**other, "hash": to_hex(keccak256(rlp_encode(fields)))}


def at_height(method: str, params: Sequence[Any], height: int) -> list[Any] | None:
    """The same question asked at another height; None when it names its block, and is no question about the latest."""
    place = {"eth_getBlockByNumber": 0, "eth_call": 1, "eth_getTransactionCount": 1}.get(method)
    if place is None or len(params) <= place or params[place] not in ("latest", "pending"):
        return None
    return [*params[:place], hex(max(0, height)), *params[place + 1 :]]


def _is_operation(log: dict[str, Any]) -> bool:
    return bool(log["topics"]) and log["topics"][0] == USER_OPERATION_EVENT
