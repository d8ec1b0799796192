"""An action: what a player asks for, as it stands in the journal.

Its life: accepted → settled (ok, reverted) or refused. Between accepted and settled it is wherever its operation is, so
no row is written for that: the operation's slot names the actions it carries.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from msgspec import Struct

from gamekit.core.journal import Row
from gamekit.errors import EncodingInvalid
from gamekit.eth.calldata import Call
from gamekit.units import UINT64_MAX, UINT256_MAX, ActionId, Address, Gas, PermissionId, UnixSeconds, Wei

ACCEPTED = "accepted"
"""On disk; not told any outcome yet."""
OK = "ok"
"""Executed, and its call succeeded."""
REVERTED = "reverted"
"""Executed, and its call reverted. Never queued again: later actions have run."""
REFUSED = "refused"
"""Terminal: it never reached the chain and never will; `reason` is the error's code."""


class ActionRequest(Struct, frozen=True):
    """What a caller asks for."""

    key: str
    """Idempotency key, 1 to 128 characters: the same key and body gives the same answer, ever."""
    function: str
    arguments: Sequence[object] | Mapping[str, object] = ()
    """By place or by name, as in the game's ABI."""
    not_after: UnixSeconds = UnixSeconds(0)
    """Refuse rather than sign once chain time is past this; 0 is never."""
    group: str = ""
    """Requests of one call with the same text travel as one atomic group: all of them, or none."""
    value: Wei = Wei(0)
    """Native currency that the call carries, within the scope's value limit."""


class Action(Row, frozen=True):
    """One accepted action."""

    TABLE = "action"
    KEY = ("id",)
    INDEX = ()
    UNIQUE = (("permission_id", "key"),)

    id: ActionId
    permission_id: PermissionId
    key: str
    """The caller's idempotency key, 1 to 128 characters; unique within its session."""
    digest: bytes
    """16 bytes over everything that the caller asked for: tells a retry from another action under the same key."""
    function: str
    """Name of the function in the game's manifest."""
    target: Address
    data: bytes
    value: Wei = Wei(0)
    gas: Gas = Gas(0)
    """Ceiling of this call's gas, from the manifest."""
    hint: int = 0
    """Which entry of the scope allows it."""
    lane_amounts: tuple[int, int] = (0, 0)
    """What it adds to the scope's cumulative counters."""
    not_after: UnixSeconds = UnixSeconds(0)
    """Refused rather than signed once chain time is past this; 0 is never."""
    group: int = 0
    """Actions of one atomic group carry the id of its first action; 0 stands alone."""
    state: str = ACCEPTED
    reason: str = ""
    """Why refused, or the decoded error of a reverted call."""
    user_op_hash: bytes = b""
    """The operation that executed it; empty until settled."""

    @property
    def call(self) -> Call:
        """The call that it becomes."""
        return Call(self.target, self.value, self.data)


def body_digest(target: Address, value: int, data: bytes, not_after: int, group: str) -> bytes:
    """Digest what the caller asked for, so that one idempotency key cannot stand for two different actions.

    Raises: EncodingInvalid for a value beyond 256 bits, or a time beyond 64.
    """
    if not (0 <= value <= UINT256_MAX and 0 <= not_after <= UINT64_MAX):
        raise EncodingInvalid(f"value {value} or not_after {not_after} is out of range", found=(value, not_after))
    head = value.to_bytes(32, "big") + not_after.to_bytes(8, "big") + group.encode()
    return blake2b(data + target + head, digest_size=16).digest()
