"""What a revocation can promise, and from when."""

from msgspec import Struct

from gamekit.core.lane import Lane
from gamekit.core.tracking import LIVE
from gamekit.units import PermissionId, UnixSeconds, UserOpHash


class Revocation(Struct, frozen=True):
    """The answer to a revoke: what is true now, and what may still happen until when.

    No signature is made from this moment on. Operations signed before may land until `dead_by`; afterwards none can.
    The account itself refuses the key once the revocation is included on chain.
    """

    permission_id: PermissionId
    revoked_at: UnixSeconds
    """Chain time of the latest head when it was written to disk."""
    refused_actions: int
    """Accepted actions that were in no operation yet: refused with `session_revoked`."""
    in_flight: tuple[UserOpHash, ...]
    """Operations that were signed before and may still land."""
    dead_by: UnixSeconds
    """Chain time after which none of them can, nor one that is included now if a reorg takes its block back; equals
    `revoked_at` when there are none."""


def revocation(lane: Lane, revoked_at: UnixSeconds) -> Revocation:
    """Say what revoking this lane's session now leaves open."""
    live = [slot for slot in lane.slots.values() if slot.slot.state == LIVE]
    hashes = tuple(user_op_hash for slot in live for user_op_hash in slot.variants)
    # Of those that are included too, until they are final: a reorg would let them land again.
    dead_by = max([revoked_at, *(slot.dead_by() for slot in lane.slots.values())])
    return Revocation(lane.session.permission_id, revoked_at, len(lane.ready), hashes, dead_by)
