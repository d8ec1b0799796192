"""What players asked for, were answered, and were told afterwards: the clients' side of the books."""

from msgspec import Struct


class Told(Struct, frozen=True):
    """One thing that a player was told of an action."""

    kind: str
    """settled, reorged, final or refused."""
    user_op_hash: str
    ok: bool


class Entry(Struct):
    """One action, as its player knows it."""

    key: str
    fingerprint: str
    """Calldata in hexadecimal: no two actions have the same."""
    accepted: int = 0
    """The id that the first answer gave; 0 while there is none."""
    denied: str = ""
    """The code of a final refusal at the door."""
    told: list[Told] = []

    def tell(self, kind: str, user_op_hash: str, *, ok: bool) -> None:
        """Write down an event."""
        self.told.append(Told(kind, user_op_hash, ok))

    @property
    def is_done(self) -> bool:
        """Whether nothing more will be told."""
        return bool(self.told) and self.told[-1].kind in ("final", "refused")


class Ledger:
    """All actions of a world, by key."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def ask(self, key: str, fingerprint: bytes) -> Entry:
        """A player asks for an action."""
        entry = self.entries[key] = Entry(key, fingerprint.hex())
        return entry

    def untold(self) -> list[str]:
        """Keys of accepted actions whose story is not over."""
        return [key for key, entry in self.entries.items() if entry.accepted and not entry.is_done]
