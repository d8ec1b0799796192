"""A session: a grant of a narrow scope on a player's account to a key that the server holds.

::

    proposed ──signature──▶ granting ──SessionGranted k deep──▶ open ──▶ revoking ──SessionRevoked──▶ revoked
        │                      │                                  │
        └──grant deadline──▶ lapsed                              expired (chain time past valid_until)

A reorg that takes the grant out moves open back to granting; one that takes the revocation out moves revoked back to
revoking. Both are sent again.
"""

from msgspec.structs import replace

from gamekit.core.journal import Row
from gamekit.errors import AuthorizationSpent, ClientError, SessionNotFound
from gamekit.eth.transaction import SignedAuthorization
from gamekit.units import Address, ChainId, NonceKey, PermissionId, PlayerId, UnixSeconds

PROPOSED = "proposed"
GRANTING = "granting"
OPEN = "open"
REVOKING = "revoking"
REVOKED = "revoked"
EXPIRED = "expired"
LAPSED = "lapsed"
"""The wallet never signed, or the grant was not included before its deadline."""

ENDED = frozenset({REVOKED, EXPIRED, LAPSED})


class Account(Row, frozen=True):
    """A player's smart account."""

    TABLE = "account"
    KEY = ("address",)
    INDEX = ("player",)

    address: Address
    player: PlayerId
    chain_id: ChainId
    stack: str
    """Name of its adapter in `accounts/`."""
    entry_point_version: str
    owner: Address
    """The owner's externally owned account: signs grants and withdrawals, and may revoke without us."""
    factory: Address
    factory_data: bytes
    """What deploys it, if it is not there yet."""
    lanes: int = 0
    """Lane numbers given out so far: the next session gets this one. Never reused."""


class Session(Row, frozen=True):
    """One session, with its sealed key."""

    TABLE = "session"
    KEY = ("permission_id",)
    INDEX = ("player", "account", "state", "revoked_at_block")
    GUARDED = True

    permission_id: PermissionId
    player: PlayerId
    account: Address
    chain_id: ChainId
    stack: str
    entry_point_version: str
    entry_point: Address
    validator: Address
    game: str
    unit: str
    """Name of the unit of delegation in the game's manifest; empty for a raw scope."""
    signer: Address
    """The session key's address."""
    sealed: bytes
    """The session key at rest; useless without the master key and outside this row."""
    binding: bytes
    scope: bytes
    """The preimage that rides in every signature."""
    nonce_key: bytes
    """24 bytes: account mode, validator and lane."""
    valid_after: UnixSeconds
    valid_until: UnixSeconds
    """Inclusive."""
    state: str = PROPOSED
    grant_deadline: UnixSeconds = UnixSeconds(0)
    epoch: int = 0
    """The account's epoch in the module that the grant is bound to."""
    grant_data: bytes = b""
    """The opener's calldata once the wallet has signed: what is sent again after a reorg."""
    revoke_data: bytes = b""
    """The module's calldata that revokes, signed by the session key itself."""
    granted_at_block: int = 0
    revoked_at_block: int = 0
    is_final: bool = False
    """Whether its revocation is final on chain, and was told so."""
    ended_reason: str = ""
    sponsored_by: str = ""
    """How the game pays: `voucher`, `signature`; empty when the account pays. Who pays stands in the scope."""
    sponsored_wei_max: int = 0
    """Most that the game pays for this session, in wei, as the module charges it."""
    implementations: tuple[Address, ...] = ()
    """What the grant accepts for targets that can run code of others, in the scope's order."""

    authorization: SignedAuthorization | None = None
    """What the owner signed so that their own address delegates; it travels with the grant."""
    ended_code: str = ""
    """Of the error that says why it lapsed; empty while it has not."""

    def admit(self, stored: "Session | None") -> str:
        """A session ends once: what has ended never opens again; a reorg only makes it end again."""
        if stored is None:
            return ""
        if (stored.signer, stored.scope, stored.account) != (self.signer, self.scope, self.account):
            return f"session {self.permission_id.hex()} stands for another key, scope or account"
        if stored.state in (REVOKING, *ENDED) and self.state in (PROPOSED, GRANTING, OPEN):
            return f"session {self.permission_id.hex()} is {stored.state} and cannot become {self.state}"
        return ""

    @property
    def key(self) -> NonceKey:
        """The nonce key as a number."""
        return NonceKey(int.from_bytes(self.nonce_key, "big"))

    def moved(self, state: str, **changes: object) -> "Session":
        """Give this session in another state."""
        return replace(self, state=state, **changes)


def ended_error(session: Session) -> ClientError:
    """Say why a session that has ended does not play."""
    if session.ended_code == AuthorizationSpent.code:
        return AuthorizationSpent(session.ended_reason, session=session.permission_id)
    return SessionNotFound(f"the session is {session.state}: {session.ended_reason}", state=session.state)


def key_binding(account: Account, validator: Address, entry_point: Address, signer: Address) -> bytes:
    """Associated data that ties a sealed key to its session: moved to another row, it does not open."""
    place = account.chain_id.to_bytes(32, "big") + account.address + entry_point + validator + signer
    return b"gamekit/sk/v1" + place
