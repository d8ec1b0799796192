"""What tokens say of who may take them. Whether a contract is a token nobody can tell: any may answer and log this."""

from typing import Final

from msgspec import Struct

from gamekit.eth.hashing import event_topic
from gamekit.eth.interface import Function
from gamekit.units import Address

ALLOWANCE: Final = Function.parse("allowance(address owner,address spender)", "uint256", "view")
"""Source: ERC-20."""

IS_APPROVED_FOR_ALL: Final = Function.parse("isApprovedForAll(address owner,address operator)", "bool", "view")
"""Source: ERC-721, ERC-1155."""

GET_APPROVED: Final = Function.parse("getApproved(uint256 tokenId)", "address", "view")
"""Source: ERC-721."""

APPROVAL: Final = event_topic("Approval(address,address,uint256)")
"""Owner and spender are indexed; so is a token's number where the third word is one. Source: ERC-20, ERC-721."""

APPROVAL_FOR_ALL: Final = event_topic("ApprovalForAll(address,address,bool)")
"""Owner and operator are indexed. Source: ERC-721, ERC-1155."""

UNLIMITED: Final = 2**256 - 1
"""The allowance that most tokens never count down."""


class Approval(Struct, frozen=True):
    """That an account has let somebody take what it has of a token."""

    token: Address
    spender: Address
    amount: int | None = None
    """In the token's smallest units; None where it is not counted."""
    item: int | None = None
    """The number of the one item that may be taken; without both, all items may."""


class Unread(Struct, frozen=True):
    """That nobody could say what an account has let somebody take."""

    token: Address | None = None
    """Which token could not be asked; None where tokens could not be searched for."""
