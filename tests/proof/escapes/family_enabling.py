"""C30: Nexus' enable mode, where validation installs a module first. Who can sign for that has the account.

The owner validator answers to nobody but the session validator, so not even the owner can use that mode. The twin has a
validator that agrees to everything beside it: with its word the same bytes install a module, and act through it.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from msgspec.structs import replace

from gamekit.demo.escapes import INSTALL_MODULE
from gamekit.demo.forgery import Attempt
from gamekit.eth.hashing import keccak256
from gamekit.eth.user_op_hash import user_op_hash
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Address, Hash32, NonceKey
from tests.accounts.world import CHAIN_ID, Key
from tests.proof.escapes.accounts import ENABLE_BIT, NO_ENABLE_MODE
from tests.proof.escapes.make import refused, trial_row
from tests.proof.escapes.model import Operate, Row, Transact, Trial
from tests.proof.escapes.sessions import secret_of
from tests.proof.escapes.world import World

VALIDATOR: Final = (1).to_bytes(32, "big")
"""The module's type, by ERC-7579."""
_STRUCT: Final = keccak256(
    b"ModuleEnableMode(address module,uint256 moduleType,bytes32 userOpHash,bytes32 initDataHash)"
)
_DOMAIN: Final = (
    keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    + keccak256(b"Nexus")
    + keccak256(b"1.0.1")
    + CHAIN_ID.to_bytes(32, "big")
)
"""As npm's build of Nexus has it."""
WITHOUT: Final = {
    "nexus": "",
    "kernel": "its enable mode is the row `enable-mode`",
    "*": NO_ENABLE_MODE,
}


def rows() -> Iterator[Row]:
    """All rows of this family."""
    session_key = Key(int.from_bytes(secret_of(0).secret, "big"))
    asked: tuple[tuple[str, str, Callable[[World], Attempt]], ...] = (
        (
            "enable-by-session-key",
            "the session key signs for it in the owner's place",
            lambda w: _enabling(w, session_key, w.contracts.owner_validator),
        ),
        (
            "enable-by-session",
            "the session key signs for it, and the session validator is to check that",
            lambda w: _enabling(w, session_key, w.contracts.session_validator),
        ),
        (
            "enable-by-owner",
            "the owner signed for it, as a page of somebody else's may ask",
            lambda w: _enabling(w, w.base.owner, w.contracts.owner_validator),
        ),
    )
    for slug, what, attempt in asked:
        yield trial_row(
            "C30",
            slug,
            f"enable mode, to install a validator and act through it: {what}",
            refused("EnableModeSigError"),
            partial(
                lambda attempt, w: Trial(
                    before=(Transact(w.account, w.account, INSTALL_MODULE.encode_call(1, w.strangers.yes, b"")),),
                    escape=Operate(attempt(w)),
                    twin=Operate(_enabling(w, session_key, w.strangers.yes)),
                ),
                attempt,
            ),
            without=WITHOUT,
        )


def _enabling(world: World, signer: Key, checker: Address) -> Attempt:
    """An operation that installs a validator, and is validated by it.

    Args:
        world: where.
        signer: signs for the installation.
        checker: the installed validator that is to check that signature.
    """
    module = world.strangers.clock_reader
    key = NonceKey(world.stack.nonce_key(module, 1) | 1 << ENABLE_BIT[world.where.name])

    def enable(op: UserOperation) -> UserOperation:
        name = user_op_hash(op, world.where.version, world.where.entry_point, CHAIN_ID)
        words = (_STRUCT, module.rjust(32, b"\x00"), VALIDATOR, name, keccak256(b""))
        domain = keccak256(_DOMAIN + world.account.rjust(32, b"\x00"))
        digest = keccak256(b"\x19\x01" + domain + keccak256(b"".join(words)))
        approval = checker + signer.sign(Hash32(digest))
        data = module + VALIDATOR + bytes(4) + len(approval).to_bytes(4, "big") + approval
        return replace(op, signature=data + op.signature)

    return replace(world.honest(), nonce_key=key, after_signing=enable)
