"""A leak on purpose: writes session keys in the clear, so that the demo's thief has something to steal.

No configuration can ask for it; only `gamekit serve --demo-leak FILE` does, which the demo's own orchestrator starts on
a devnet. It takes nothing that whoever runs the server could not take anyway (the master key lies beside the
journal): it spares the thief from breaking in, and shows that what is on chain holds even then. Only the sessions of
players whose names start with `victim` are leaked, and only on a chain with a devnet's id.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gamekit.core.event import SESSION_OPENED
from gamekit.core.journal import Event
from gamekit.core.session import OPEN, Session
from gamekit.demo.loot import Loot, read_loot, write_loot
from gamekit.errors import ConfigInvalid
from gamekit.eth.hashing import to_hex
from gamekit.keys.buffers import secret_buffer
from gamekit.keys.keystore import Keystore
from gamekit.kit import GameKit
from gamekit.runtime.notify import ALL

VICTIM: Final = "victim"
DEVNET_CHAIN_IDS: Final = frozenset((1337, 31337))


@contextmanager
def leak_sessions(kit: GameKit, config: Path, path: Path) -> Iterator[None]:
    """Write the victims' keys into a file, again with each session that opens.

    Raises: ConfigInvalid on any chain that is not a devnet.
    """
    if kit.config.chain.chain_id not in DEVNET_CHAIN_IDS:
        raise ConfigInvalid(f"keys are leaked on a devnet only, this is chain {kit.config.chain.chain_id}")

    def leak() -> None:
        keystore = Keystore.open(config.parent / kit.config.journal.keyfile)
        stolen = {loot.permission_id: loot for loot in read_loot(path)}  # Of sessions that have ended since, too.
        for row in filter(_is_victim, kit.sessions()):
            stolen[to_hex(row.permission_id)] = _stolen(keystore, row)
        write_loot(path, stolen.values())

    def opened(events: Sequence[Event]) -> None:
        if any(event.kind == SESSION_OPENED and event.player.startswith(VICTIM) for event in events):
            leak()

    stop = kit.subscribe(ALL, opened)
    if any(map(_is_victim, kit.sessions())):
        leak()  # A server that was killed meanwhile may have opened them, and leaked nothing.
    try:
        yield
    finally:
        stop()


def _is_victim(row: Session) -> bool:
    return row.player.startswith(VICTIM) and row.state == OPEN


def _stolen(keystore: Keystore, row: Session) -> Loot:
    with secret_buffer(32) as secret:
        keystore.unseal_into(row, secret)
        key = to_hex(bytes(secret))
    return Loot(
        player=row.player,
        key=key,
        account=to_hex(row.account),
        stack=row.stack,
        entry_point_version=row.entry_point_version,
        entry_point=to_hex(row.entry_point),
        session_validator=to_hex(row.validator),
        chain_id=row.chain_id,
        permission_id=to_hex(row.permission_id),
        scope=to_hex(row.scope),
    )
