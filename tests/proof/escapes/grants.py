"""Grants as anybody could submit them: with the owner's signature over what the wallet was shown."""

from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from gamekit.core.scope import Scope, grant_fault
from gamekit.errors import EncodingInvalid
from gamekit.eth.hashing import keccak256
from gamekit.eth.session_validator_abi import ACCOUNT_OF, GRANT_SESSION, GRANT_SESSION_FOR, decode_account
from gamekit.eth.session_validator_grant import grant_typed_data
from gamekit.eth.typed_data import typed_data_digest
from gamekit.units import Address, ChainId, Hash32, UnixSeconds
from tests.accounts.world import CHAIN_ID, Key
from tests.proof.escapes.model import Later, Step, Transact
from tests.proof.escapes.sessions import Asked
from tests.proof.escapes.world import World

FRESH_KEY = 40
"""Number of the key of sessions that rows grant."""
DEADLINE_S = 600
NO_SCOPE = "Scope.unpack"
"""Who of gamekit refuses bytes that its types cannot hold."""


class Grant(Struct, frozen=True):
    """One grant: what is signed, and what is submitted. Where both differ somebody has meddled."""

    scope: bytes
    functions: Sequence[str]
    signer: Key | None = None
    """Who signs; None for the account's owner."""
    sender: Address | None = None
    """Who submits; None for the thief."""
    to: Address | None = None
    """Whose session it would be; None for the account."""
    signed_for: Address | None = None
    """Whose session was signed; None for the same."""
    signed_scope: bytes | None = None
    signed_chain: ChainId = CHAIN_ID
    signed_module: Address | None = None
    epochs_ago: int = 0
    """How many epochs before the present one it was signed."""
    signed_deadline_s: int = DEADLINE_S
    deadline_s: int = DEADLINE_S
    implementations: tuple[Address, ...] = ()
    """What the owner accepts behind targets that run code of others."""
    signed_implementations: tuple[Address, ...] | None = None
    """What was signed instead."""
    signature: bytes | None = None
    """A signature of the thief's own making."""


def grant(make: Callable[[World], Grant], also: Callable[[World], Sequence[Grant]] = lambda _: ()) -> Later:
    """Submit a grant; it is signed when it is submitted."""

    async def step(world: World) -> Step:
        made = make(world)
        data = await _calldata(world, made)
        others = tuple([await _calldata(world, each) for each in also(world)])
        return Transact(made.sender or world.thief, world.module, data, also=others)

    return Later(step)


def grant_by_account(scope: Callable[[World], bytes]) -> Later:
    """Let the account itself grant, by a transaction in its name."""

    async def step(world: World) -> Step:
        return Transact(world.account, world.module, GRANT_SESSION.encode_call(scope(world), ()))

    return Later(step)


def fresh(world: World, asked: Asked, key: int = FRESH_KEY) -> Grant:
    """A grant of a session that is not yet there."""
    scope = fresh_scope(world, asked, key)
    return Grant(scope.pack(), [each.function for each in scope.calls.entries])


def fresh_scope(world: World, asked: Asked, key: int = FRESH_KEY) -> Scope:
    """The scope of a session that is not yet there."""
    return world.scope_of(Asked(**{**{name: getattr(asked, name) for name in asked.__struct_fields__}, "key": key}))


def fault_of(world: World, scope: Scope) -> str:
    """gamekit's own verdict on a grant: who refuses it, or nothing."""
    return "grant_fault" if grant_fault(scope, world.account, world.module, world.now) else ""


def fault_of_bytes(world: World, made: Grant) -> str:
    """gamekit's own verdict on a grant of bytes, in the next block: who refuses them, or the scope that they are."""
    try:
        scope = Scope.unpack(made.scope, made.functions)
    except EncodingInvalid:
        return NO_SCOPE
    at = UnixSeconds(world.now + 1)
    return "grant_fault" if grant_fault(scope, world.account, world.module, at) else ""


def overwritten(made: Grant, at: int, written: bytes) -> Grant:
    """Overwrite a part of a scope's bytes, before they are signed."""
    return replace(made, scope=made.scope[:at] + written + made.scope[at + len(written) :])


async def _calldata(world: World, made: Grant) -> bytes:
    account, now = made.to or world.account, world.now
    signature = made.signature if made.signature is not None else await _sign(world, made, account)
    deadline = UnixSeconds(now + made.deadline_s)
    return GRANT_SESSION_FOR.encode_call(
        account, made.scope, tuple(made.functions), made.implementations, deadline, signature
    )


async def _sign(world: World, made: Grant, account: Address) -> bytes:
    known = decode_account(await world.call(world.module, ACCOUNT_OF.encode_call(account)))
    try:
        typed_data = grant_typed_data(
            chain_id=made.signed_chain,
            module=made.signed_module or world.module,
            account=made.signed_for or account,
            scope=made.signed_scope or made.scope,
            functions=made.functions,
            epoch=known.epoch - made.epochs_ago,
            deadline=UnixSeconds(world.now + made.signed_deadline_s),
            implementations=made.implementations
            if made.signed_implementations is None
            else made.signed_implementations,
        )
    except EncodingInvalid:  # no wallet can be shown this
        digest = Hash32(keccak256(made.scope))
    else:
        digest = typed_data_digest(world.stack.grant_request(typed_data).typed_data)
    return (made.signer or world.base.owner).sign(digest)
