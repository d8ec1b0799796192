"""The reference account at a person's own address: an externally owned account that delegates to it, on EntryPoint 0.8.

::

    address      the owner's own
    nonce key    validator 20 | lane 4; the owner's: 0 20 | 0 4, a validator that no account has
    failed call  ERC7579TryExecuteFail(batchExecutionIndex, returndata)

Before its first use the owner signs two things: an authorization, by which its address delegates, and the grant. One
relayed transaction carries both (`eth/transaction.py`, `eth/session_opener.py`); the player needs no ether.

Source: EIP-7702; ReferenceAccount7702.sol, which is ours; what it shares with `reference.py` stands there.
"""

from typing import Final

from gamekit.accounts.reference import ReferenceStack
from gamekit.accounts.stack import ALL_LIMITS, Deployment, StackContracts, StackLimits, WalletRequest
from gamekit.errors import ConfigInvalid
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.interface import Function
from gamekit.eth.typed_data import TypedData
from gamekit.units import Address, NonceKey

INITIALIZE: Final = Function.parse("initialize()")


class ReferenceStack7702(ReferenceStack):
    """A person's own address with our session validator; its key is the owner."""

    name = "reference_7702"
    entry_point_versions = frozenset({EntryPointVersion.V08})
    own_key_is_owner = True
    limits = StackLimits(
        enforced=(
            *ALL_LIMITS,
            "Only the entry point or the account's own key may make it execute; the entry point asks a validator.",
            "The session key is another key than the account's, and can sign nothing but operations of its session.",
        ),
        not_enforced=(
            "A delegation elsewhere stops the session and does not revoke it: delegating back lets it go on.",
        ),
        other_voices=(
            "The account's own key keeps all its power: no limit of a session binds it, nor does the account's code.",
            "Any other validator, executor or fallback handler that the owner installs speaks for the account.",
        ),
    )

    def owner_nonce_key(self, owner_validator: Address) -> NonceKey:
        """Write the key that names no validator: then the account's own key is asked."""
        del owner_validator
        return NonceKey(0)

    def owner_signature(self, owner_validator: Address, signature: bytes) -> bytes:
        """Give the signature as it is: the account's own key answers."""
        del owner_validator
        return signature

    def read_owner_signature(self, signature: bytes) -> tuple[Address | None, bytes]:
        """Read no validator: the account's own key answers, whatever the signature begins with."""
        return None, signature

    def deployment(self, owner: Address, salt: int, contracts: StackContracts) -> Deployment:
        """Let the owner's address delegate and initialise itself.

        Raises ConfigInvalid for a salt other than 0: an address has one account.
        """
        if salt:
            raise ConfigInvalid(f"an own address is one account, so its salt is 0, got {salt}", found=salt)
        return Deployment(
            factory=owner,
            factory_data=INITIALIZE.encode_call(),
            address_query=b"",
            address=owner,
            delegate=contracts.factory,
        )

    def grant_request(self, typed_data: TypedData) -> WalletRequest:
        """Ask the owner's wallet: the module takes the account's own signature, so the wallet can show the fields."""
        note = "The account is your own address, which delegates to a contract; the grant names it."
        return WalletRequest("typed_data", typed_data, readable=True, note=note)
