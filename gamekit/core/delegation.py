"""A person's own address as an account: what its owner signs so that it runs a contract's code, and what makes it void.

Somebody else may submit the authorization first, or initialise the address: nothing is gained by it. The authorization
names the contract; that contract installs one module, which its own code names, and takes no owner from the caller;
what the session may do stands in the grant, which the same key signs. Our own authorization is then passed over, and
the grant goes on.

Source: EIP-7702.
"""

from typing import Final

from msgspec import Struct

from gamekit.errors import AuthorizationInvalid, AuthorizationSpent, EncodingInvalid
from gamekit.eth.hashing import checksum_address
from gamekit.eth.signature import recover_address
from gamekit.eth.transaction import Authorization, SignedAuthorization, authorization_hash
from gamekit.units import Address

DELEGATION_PREFIX: Final = b"\xef\x01\x00"
"""What the code of an address that delegates begins with; the contract's address follows, and nothing more."""


class DelegationRequest(Struct, frozen=True, gc=False):
    """What an owner is asked to authorize."""

    authorization: Authorization
    replaces: Address | None
    """What the address delegates to now, which ends with it; None if to nothing."""


def delegate_of(code: bytes) -> Address | None:
    """Say what an address delegates to, from its code; None for one that does not delegate."""
    is_delegation = len(code) == 23 and code.startswith(DELEGATION_PREFIX)
    return Address(code[3:]) if is_delegation else None


def can_delegate(code: bytes) -> bool:
    """Whether there is a key behind an address, which can change its code: a contract of its own has none."""
    return not code or delegate_of(code) is not None


def authorization_fault(
    signed: SignedAuthorization | None, wanted: Authorization, owner: Address
) -> AuthorizationInvalid | None:
    """Say why an authorization is not the one that is needed; None if it is.

    Args:
        signed: what was handed in; None if nothing was.
        wanted: chain and contract, and the owner's transaction count, which its nonce must be.
        owner: whose key must have signed.
    """
    if signed is None:
        text = f"{checksum_address(owner)} must authorize {checksum_address(wanted.delegate)}, nonce {wanted.nonce}"
        return AuthorizationInvalid(text, asked=wanted.delegate, found=None)
    found = signed.authorization
    if (found.chain_id, found.delegate) != (wanted.chain_id, wanted.delegate):
        text = (
            f"the authorization is for {checksum_address(found.delegate)} on chain {found.chain_id}, "
            f"not for {checksum_address(wanted.delegate)} on chain {wanted.chain_id}"
        )
        return AuthorizationInvalid(text, asked=wanted.delegate, found=found.delegate)
    try:
        signer = recover_address(authorization_hash(found), signed.signature)
    except EncodingInvalid as error:
        return AuthorizationInvalid(f"the authorization's signature is none: {error}", asked=owner, found=None)
    if signer != owner:
        text = f"the authorization is signed by {checksum_address(signer)}, not by {checksum_address(owner)}"
        return AuthorizationInvalid(text, asked=owner, found=signer)
    return None if found.nonce == wanted.nonce else authorization_spent(found, wanted.nonce)


def authorization_spent(found: Authorization, nonce: int) -> AuthorizationSpent:
    """Say that an authorization's nonce is not the address's next one."""
    text = f"the authorization has nonce {found.nonce}, and the address is at {nonce}: sign a new one"
    return AuthorizationSpent(text, nonce=found.nonce, found=nonce)
