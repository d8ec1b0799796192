"""Memory of the idempotency keys that were accepted lately. The journal knows them all; this only answers sooner."""

from collections import OrderedDict

from gamekit.units import ActionId, PermissionId

Known = tuple[bytes, ActionId]
"""Digest of what was asked for under a key, and the action that it became."""


class RecentKeys:
    """The latest keys of each lane; lanes that were asked longest ago are forgotten first.

    Args:
        lane_max: most keys of one lane; its oldest go first.
        total_max: most keys over all lanes.
    """

    def __init__(self, lane_max: int, total_max: int) -> None:
        self.lane_max = lane_max
        self.total_max = total_max
        self.total = 0
        self._lanes: OrderedDict[PermissionId, dict[str, Known]] = OrderedDict()

    def lanes(self) -> list[PermissionId]:
        """The lanes of which any key is remembered, the one that was asked longest ago first."""
        return list(self._lanes)

    def of(self, permission_id: PermissionId) -> dict[str, Known]:
        """The keys of one lane, to look into only; the lane counts as asked now."""
        keys = self._lanes.get(permission_id)
        if keys is None:
            return {}
        self._lanes.move_to_end(permission_id)
        return keys

    def known(self, permission_id: PermissionId, key: str) -> Known | None:
        """What a key stands for, None if it is not remembered."""
        keys = self._lanes.get(permission_id)
        return keys.get(key) if keys is not None else None

    def remember(self, permission_id: PermissionId, key: str, known: Known) -> None:
        """Remember a key that is not known."""
        keys = self._lanes.get(permission_id)
        if keys is None:
            keys = self._lanes[permission_id] = {}
        keys[key] = known
        self.total += 1
        if len(keys) > self.lane_max:
            del keys[next(iter(keys))]
            self.total -= 1
        while self.total > self.total_max:
            self.forget(next(iter(self._lanes)))

    def drop(self, permission_id: PermissionId, key: str) -> None:
        """Forget one key: its action was not written."""
        keys = self._lanes.get(permission_id)
        if keys is not None and keys.pop(key, None) is not None:
            self.total -= 1
            if not keys:
                del self._lanes[permission_id]

    def forget(self, permission_id: PermissionId) -> None:
        """Forget a lane."""
        self.total -= len(self._lanes.pop(permission_id, ()))
