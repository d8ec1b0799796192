"""What a player is asked to agree to: the wallet's request, and the words beside it."""

from collections.abc import Sequence

from msgspec import Struct

from gamekit.accounts import stack
from gamekit.core.delegation import DelegationRequest
from gamekit.core.explain import explain
from gamekit.core.game import Game
from gamekit.core.scope import Scope
from gamekit.core.session import Session
from gamekit.eth.hashing import checksum_address
from gamekit.eth.proxy import Accepted
from gamekit.eth.session_validator_grant import grant_typed_data
from gamekit.eth.token import Approval, Unread
from gamekit.eth.transaction import Authorization
from gamekit.eth.typed_data import TypedData
from gamekit.units import Address, PermissionId, UnixSeconds


class GrantRequest(Struct, frozen=True):
    """What the owner's wallet is asked to sign to open a session."""

    permission_id: PermissionId
    account: Address
    owner: Address
    typed_data: TypedData
    """For `eth_signTypedData_v4`."""
    explanation: str
    """Plain English: what the key can do before it ends, the most that can be lost, and what the wallet will show."""
    sign_before: UnixSeconds
    """Chain time until which the signature can be used, inclusive."""
    readable: bool = True
    """Whether the wallet shows what is granted in words, or only a hash."""
    authorization: Authorization | None = None
    """What the owner's key must sign beside it, so that the owner's own address becomes the account; see
    `eth.transaction.authorization_hash`. None where nothing is missing."""


def consent(
    session: Session,
    scope: Scope,
    game: Game,
    owner: Address,
    accepted: Sequence[Accepted] = (),
    approvals: Sequence[Approval | Unread] = (),
    delegation: DelegationRequest | None = None,
) -> GrantRequest:
    """Say what the owner's wallet must sign, and what it means.

    Args:
        session: as it was proposed.
        scope: the session's.
        game: says what the functions mean.
        owner: whose wallet it is.
        accepted: what the session's `implementations` are accepted for.
        approvals: what the account has let the game's contracts take, and what of that could not be read.
        delegation: what the owner must authorize first, if anything.
    """
    typed_data = grant_typed_data(
        chain_id=session.chain_id,
        module=session.validator,
        account=session.account,
        scope=session.scope,
        functions=[entry.function for entry in scope.calls.entries],
        epoch=session.epoch,
        deadline=session.grant_deadline,
        implementations=session.implementations,
    )
    adapter = stack(session.stack)
    asked = adapter.grant_request(typed_data)
    words = explain(scope, game, adapter, accepted, approvals)
    if asked.note:
        words += f"\n\nIn your wallet: {asked.note}"
    if delegation is not None:
        words += f"\n\n{_before(delegation)}"
    return GrantRequest(
        session.permission_id,
        session.account,
        owner,
        asked.typed_data,
        words,
        session.grant_deadline,
        asked.readable,
        delegation.authorization if delegation is not None else None,
    )


def _before(delegation: DelegationRequest) -> str:
    """Say what the owner's key must sign beside the grant, and what a wallet can do about it."""
    wanted = delegation.authorization
    replaced = ""
    if delegation.replaces is not None:
        replaced = f" It ends the delegation to {checksum_address(delegation.replaces)}, and what works by that."
    return (
        f"Besides, your key must sign an EIP-7702 authorization: chain {wanted.chain_id}, contract "
        f"{checksum_address(wanted.delegate)}, nonce {wanted.nonce}. From then on your address runs that contract's "
        f"code, until you authorize another.{replaced} It is void as soon as you send any other transaction. A wallet "
        "in a browser does not sign authorizations for pages: what holds your key must sign it itself."
    )
