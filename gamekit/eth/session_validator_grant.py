"""What is signed to grant and to revoke a session: typed data, so that a wallet shows words and not a hash.

The wallet shows every field; the module computes each from the scope, so none can lie. `functionSignature` is text that
hashes to the selector of its entry.

Source: GrantLib.sol, SessionValidator.sol.
"""

from collections.abc import Sequence
from typing import Final

from gamekit.errors import EncodingInvalid
from gamekit.eth.hashing import checksum_address, selector, to_hex
from gamekit.eth.scope_form import entries_of
from gamekit.eth.session_validator import DOMAIN_NAME, DOMAIN_VERSION
from gamekit.eth.typed_data import Field, TypedData, typed_data_digest
from gamekit.units import Address, ChainId, Hash32, PermissionId, UnixSeconds

_DOMAIN: Final = [
    Field("name", "string"),
    Field("version", "string"),
    Field("chainId", "uint256"),
    Field("verifyingContract", "address"),
]
_ALLOWED_CALL: Final = [Field("target", "address"), Field("functionSignature", "string")]
_GRANT_SESSION: Final = [
    Field("account", "address"),
    Field("sessionKey", "address"),
    Field("revoker", "address"),
    Field("validAfter", "uint48"),
    Field("validUntil", "uint48"),
    Field("allowedCalls", "AllowedCall[]"),
    Field("usesMax", "uint32"),
    Field("gasBudgetWei", "uint128"),
    Field("valueTotalWeiMax", "uint128"),
    Field("paymaster", "address"),
    Field("acceptedImplementations", "address[]"),
    Field("scope", "bytes"),
    Field("epoch", "uint32"),
    Field("deadline", "uint48"),
]
_REVOKE_SESSION: Final = [Field("account", "address"), Field("permissionId", "bytes32")]


def grant_typed_data(
    *,
    chain_id: ChainId,
    module: Address,
    account: Address,
    scope: bytes,
    functions: Sequence[str],
    epoch: int,
    deadline: UnixSeconds,
    implementations: Sequence[Address] = (),
) -> TypedData:
    """Write what the account's owner signs to grant a session.

    Args:
        chain_id: of the module.
        module: the session validator.
        account: whose session it becomes.
        scope: the granted form.
        functions: the full signature text of each entry's function.
        epoch: the account's present one.
        deadline: last second, inclusive, at which the grant may be submitted.
        implementations: for each target that can run code of others, in the scope's order, what the owner accepts.

    Raises:
        EncodingInvalid: the scope's length is not what its counts say, there is not one text for each entry, or a text
            has another selector than its entry.
    """
    entries = entries_of(scope)
    if len(functions) != len(entries):
        raise EncodingInvalid(
            f"the scope has {len(entries)} entries, got {len(functions)} function texts",
            found=len(functions),
            expected=len(entries),
        )
    for text, entry in zip(functions, entries, strict=True):
        if selector(text) != entry[20:24]:
            raise EncodingInvalid(
                f"{text[:80]} has the selector {selector(text).hex()}, its entry {entry[20:24].hex()}",
                found=selector(text),
                expected=entry[20:24],
            )
    message: dict[str, object] = {
        "account": checksum_address(account),
        "sessionKey": checksum_address(scope[:20]),
        "revoker": checksum_address(scope[32:52]),
        "validAfter": int.from_bytes(scope[20:26], "big"),
        "validUntil": int.from_bytes(scope[26:32], "big"),
        "allowedCalls": [
            {"target": checksum_address(entry[:20]), "functionSignature": text}
            for entry, text in zip(entries, functions, strict=True)
        ],
        "usesMax": int.from_bytes(scope[88:92], "big"),
        # As text: a wallet's numbers are exact only up to 2**53.
        "gasBudgetWei": str(int.from_bytes(scope[96:112], "big")),
        "valueTotalWeiMax": str(int.from_bytes(scope[128:144], "big")),
        "paymaster": checksum_address(scope[160:180]),
        "acceptedImplementations": [checksum_address(each) for each in implementations],
        "scope": to_hex(scope),
        "epoch": epoch,
        "deadline": deadline,
    }
    types = {"EIP712Domain": _DOMAIN, "AllowedCall": _ALLOWED_CALL, "GrantSession": _GRANT_SESSION}
    return TypedData(types, "GrantSession", _domain(chain_id, module), message)


def grant_digest(typed_data: TypedData) -> Hash32:
    """Give the 32 bytes that the owner signs, as `grantDigest` of the module would."""
    return typed_data_digest(typed_data)


def revoke_typed_data(chain_id: ChainId, module: Address, account: Address, permission: PermissionId) -> TypedData:
    """Write what a session key signs to revoke itself. It only takes away, so replaying it does no harm."""
    types = {"EIP712Domain": _DOMAIN, "RevokeSession": _REVOKE_SESSION}
    message: dict[str, object] = {"account": checksum_address(account), "permissionId": to_hex(permission)}
    return TypedData(types, "RevokeSession", _domain(chain_id, module), message)


def _domain(chain_id: ChainId, module: Address) -> dict[str, object]:
    return {
        "name": DOMAIN_NAME,
        "version": DOMAIN_VERSION,
        "chainId": chain_id,
        "verifyingContract": checksum_address(module),
    }
