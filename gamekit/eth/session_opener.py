"""Speaking with SessionOpener: deploy and grant in one relayed transaction. It has no rights; anybody may call it.

Source: SessionOpener.sol.
"""

from collections.abc import Sequence
from typing import Final

from gamekit.eth.interface import Function
from gamekit.units import Address, UnixSeconds

OPEN: Final = Function.parse(
    "open(address factory,bytes factoryData,address validator,address account,bytes scope,string[] functions,"
    "uint48 deadline,bytes ownerSignature)",
    "bytes32 permissionId",
    "payable",
)


def encode_open(
    *,
    factory: Address,
    factory_data: bytes,
    validator: Address,
    account: Address,
    scope: bytes,
    functions: Sequence[str],
    deadline: UnixSeconds,
    signature: bytes,
) -> bytes:
    """Encode the transaction that makes an account, if it is missing, and grants a session on it."""
    return OPEN.encode_call(factory, factory_data, validator, account, scope, list(functions), deadline, signature)
