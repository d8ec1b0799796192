"""Authorizations (EIP-7702) between the wire's form and ours."""

from gamekit.eth import transaction
from gamekit.protocol import messages
from gamekit.protocol.octets import Octets20, Octets65
from gamekit.units import Address, ChainId


def ask(authorization: transaction.Authorization | None) -> messages.Authorization | None:
    """Write what must be signed."""
    if authorization is None:
        return None
    return messages.Authorization(authorization.chain_id, Octets20(authorization.delegate), authorization.nonce)


def asked(authorization: messages.Authorization) -> transaction.Authorization:
    """Read what must be signed."""
    return transaction.Authorization(
        chain_id=ChainId(authorization.chain_id),
        delegate=Address(bytes(authorization.delegate)),
        nonce=authorization.nonce,
    )


def hand_in(signed: transaction.SignedAuthorization | None) -> messages.SignedAuthorization | None:
    """Write what was signed. Raises EncodingInvalid for a signature that is not 65 bytes."""
    if signed is None:
        return None
    found = signed.authorization
    return messages.SignedAuthorization(
        found.chain_id, Octets20(found.delegate), found.nonce, Octets65.read(signed.signature)
    )


def handed_in(signed: messages.SignedAuthorization | None) -> transaction.SignedAuthorization | None:
    """Read what was signed."""
    return None if signed is None else transaction.SignedAuthorization(asked(signed), bytes(signed.signature))
