"""The real adapters of a configuration: JSON-RPC, SQLite, the sealed keystore. Nothing else picks any."""

import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from gamekit.chain.reader import EvmChain
from gamekit.chain.rpc import JsonRpc
from gamekit.config import Config
from gamekit.core.kinds import KINDS
from gamekit.keys.keystore import Keystore
from gamekit.keys.signer import LocalSigner
from gamekit.ports import ChainReader, Clock, KeyMaker, SealedKey, Signer, Store, TransactionSender
from gamekit.store.sqlite import SqliteStore
from gamekit.units import Address


class Ports(Struct, frozen=True):
    """All adapters of one kit."""

    store: Store
    chain: ChainReader
    sender: TransactionSender
    signer: Signer
    keys: KeyMaker
    relayers: Mapping[Address, SealedKey]
    withdrawal_relayers: Mapping[Address, SealedKey]
    """Never the relayers of play."""
    clock: Clock
    close: Callable[[], Awaitable[None]]
    """Closes what the store does not: connections, threads."""
    sponsors: Mapping[Address, SealedKey] = {}
    """Keys that speak for games which pay for their players."""
    has_sealed: bool = False
    """Whether session keys were sealed by an earlier process: a journal without rows is not the first one then."""


class MonotonicClock:
    """The system's monotonic clock."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start."""
        return time.monotonic()


def real_ports(config: Config, root: Path) -> Ports:
    """Open the real adapters of a configuration, whose paths are relative to `root`.

    Raises: ConfigInvalid, StoreUnavailable, StoreError.
    """
    keystore = Keystore.open(root / config.journal.keyfile)
    rpc = JsonRpc(
        config.chain.rpc_url,
        timeout_ms=config.chain.request_timeout_ms,
        reply_bytes_max=config.chain.reply_bytes_max,
        attempts=config.chain.request_attempts,
    )
    chain = EvmChain(rpc, config.chain)
    writer = ThreadPoolExecutor(1, thread_name_prefix="gamekit-journal")
    store = SqliteStore.open(root / config.journal.path, kinds=KINDS, executor=writer)

    async def close() -> None:
        writer.shutdown(wait=False)  # The store has closed it, or its disk hangs, and a thread cannot be ended.
        await rpc.close()

    relay = config.relay
    return Ports(
        store=store,
        chain=chain,
        sender=chain,
        signer=LocalSigner(keystore),
        keys=keystore,
        relayers=keystore.relayers(root / relay.keys_file) if relay.keys_file else {},
        withdrawal_relayers=keystore.relayers(root / relay.withdrawal_keys_file) if relay.withdrawal_keys_file else {},
        clock=MonotonicClock(),
        close=close,
        sponsors=keystore.relayers(root / config.sponsor.keys_file) if config.sponsor.keys_file else {},
        has_sealed=keystore.has_sealed,
    )
