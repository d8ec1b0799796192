"""Account stacks, pure: how a call, a nonce key, a grant, a signature and an outcome look on each."""

from typing import Final

from gamekit.accounts.kernel import KernelStack
from gamekit.accounts.nexus import NexusStack
from gamekit.accounts.reference import ReferenceStack
from gamekit.accounts.reference_7702 import ReferenceStack7702
from gamekit.accounts.safe7579 import Safe7579Stack
from gamekit.accounts.stack import AccountStack
from gamekit.errors import ConfigInvalid

_ALL: Final[tuple[AccountStack, ...]] = (
    ReferenceStack(),
    NexusStack(),
    Safe7579Stack(),
    KernelStack(),
    ReferenceStack7702(),
)

STACKS: Final[dict[str, AccountStack]] = {each.name: each for each in _ALL}
"""Every stack that gamekit speaks with, by the name that configuration and journal write."""


def stack(name: str) -> AccountStack:
    """Find an account stack.

    Raises: ConfigInvalid for a name that is none.
    """
    found = STACKS.get(name)
    if found is None:
        raise ConfigInvalid(f"unknown account stack {name[:80]!r}, known are {sorted(STACKS)}", stack=name[:80])
    return found
