"""Which opcodes run inside one contract's frame of a transaction: ERC-7562's rules are about those."""

from itertools import pairwise
from typing import Any

from gamekit.chain.rpc import to_data, to_quantity
from gamekit.core.relay import RelayTransaction
from gamekit.devnet import DevnetNode
from gamekit.units import Address

BANNED = {
    "BALANCE", "BASEFEE", "BLOBBASEFEE", "BLOBHASH", "BLOCKHASH", "COINBASE", "CREATE", "CREATE2", "DIFFICULTY",
    "GASLIMIT", "GASPRICE", "INVALID", "NUMBER", "ORIGIN", "PREVRANDAO", "SELFBALANCE", "SELFDESTRUCT", "TIMESTAMP",
}  # fmt: skip
"""Source: ERC-7562, OP-011 and OP-080; GAS is allowed directly in front of a call (OP-012)."""
CALLS = {"CALL", "DELEGATECALL", "STATICCALL", "CALLCODE"}


async def opcodes_within(node: DevnetNode, row: RelayTransaction, contract: Address) -> list[str]:
    """Give the opcodes of every frame of `contract` that another contract called, and of what it called, in order.

    The mined transaction is run once more, on the state that the block before it left.
    """
    asked = {
        "from": to_data(row.relayer),
        "to": to_data(row.to),
        "data": to_data(row.data),
        "gas": to_quantity(row.gas_limit),
    }
    before = to_quantity(row.mined_at_block - 1)
    traced = await node.request(dict[str, Any], "debug_traceCall", asked, before, {})
    found: list[str] = []
    inside = 0
    """Depth of the outermost frame of the contract; 0 outside."""
    steps = traced["structLogs"]
    for step, following in zip(steps, [*steps[1:], {"depth": 0}], strict=True):
        if inside and step["depth"] < inside:
            inside = 0
        if inside:
            found.append(step["op"])
        elif step["op"] in CALLS and following["depth"] == step["depth"] + 1 and _target(step) == contract:
            inside = following["depth"]
    return found


def banned(opcodes: list[str]) -> set[str]:
    """Those that validation must not run; GAS that is not directly in front of a call among them."""
    pairs = pairwise([*opcodes, ""])
    loose = {"GAS" for opcode, following in pairs if opcode == "GAS" and following not in CALLS}
    return {opcode for opcode in opcodes if opcode in BANNED} | loose


def _target(step: dict[str, Any]) -> bytes:
    return int(step["stack"][-2], 16).to_bytes(32, "big")[-20:]
