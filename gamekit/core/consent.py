"""What a player is asked to agree to: the wallet's request, and the words beside it."""

from collections.abc import Sequence

from msgspec import Struct

from gamekit.accounts import stack
from gamekit.core.explain import explain
from gamekit.core.game import Game
from gamekit.core.scope import Scope
from gamekit.core.session import Session
from gamekit.eth.proxy import Accepted
from gamekit.eth.session_validator_grant import grant_typed_data
from gamekit.eth.token import Approval
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


def consent(
    session: Session,
    scope: Scope,
    game: Game,
    owner: Address,
    accepted: Sequence[Accepted] = (),
    approvals: Sequence[Approval] = (),
) -> GrantRequest:
    """Say what the owner's wallet must sign, and what it means.

    Args:
        session: as it was proposed.
        scope: the session's.
        game: says what the functions mean.
        owner: whose wallet it is.
        accepted: what the session's `implementations` are accepted for.
        approvals: what the account has let the game's contracts take.
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
    return GrantRequest(
        session.permission_id,
        session.account,
        owner,
        asked.typed_data,
        words,
        session.grant_deadline,
        asked.readable,
    )
