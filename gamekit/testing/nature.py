"""What a simulated chain does by chance, and what other people do on it."""

import random
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from gamekit.testing.chain import BLOCK_S, STRANGER, FakeChain
from gamekit.units import Address, PermissionId, Wei

FEE_WEI = Wei(10**9)
"""The base fee of a quiet block, in wei per gas."""


class Nature(Struct, frozen=True):
    """What the chain does by chance with each block, as shares from 0 to 1."""

    reorg: float = 0.0
    reorg_depth_max: int = 4
    forget: float = 0.3
    """Of reorgs: what was in them is in no pool any more."""
    sideways: float = 0.3
    """Of reorgs: other attempts of the same nonces are mined instead."""
    skip: float = 0.0
    """Blocks that leave out everything."""
    drop: float = 0.0
    """Blocks after which the pool is empty, or has lost one transaction: what stood behind it has a gap before it."""
    late: float = 0.0
    """Blocks that come much later."""
    front_run: float = 0.0
    """Blocks in which somebody else bundles our operations first."""
    fee_spike: float = 0.0
    lane_taken: float = 0.0
    """Blocks in which an operation that is none of ours uses a lane's next nonce up."""
    relayer_taken: float = 0.0
    """Blocks in which somebody else sends with a relayer's key."""
    owner_revokes: float = 0.0
    """Blocks in which an account's owner ends one of its sessions, without asking us."""
    poor: float = 0.0
    """Blocks from which on an account cannot pay for its operations, for `POOR_BLOCKS`."""


STILL = Nature()
WILD = Nature(reorg=0.1, skip=0.15, drop=0.06, late=0.06, front_run=0.06, fee_spike=0.03)
PEOPLED = Nature(**{name: getattr(WILD, name) for name in WILD.__struct_fields__} | {
    "lane_taken": 0.03, "relayer_taken": 0.02, "owner_revokes": 0.004, "poor": 0.02,
})  # fmt: skip
"""Wild, and other people use what we think is ours."""
POOR_BLOCKS = 4


class Ours(Protocol):
    """What others may meddle with: what the server uses on chain."""

    def lanes(self) -> Sequence[tuple[Address, int]]:
        """Accounts with the nonce keys of their sessions."""
        ...

    def sessions(self) -> Sequence[PermissionId]:
        """Sessions that the chain knows."""
        ...

    def relayers(self) -> Sequence[Address]:
        """The relayers of play."""
        ...


class Fate:
    """Makes blocks, as nature will have it."""

    def __init__(self, chain: FakeChain, ours: Ours, chance: random.Random, count: Callable[[str], None]) -> None:
        """Take what it acts upon.

        Args:
            chain: the simulated one.
            ours: what others may meddle with.
            chance: where all of it comes from.
            count: told of each fault.
        """
        self._chain = chain
        self._ours = ours
        self._dice = chance
        self._count = count
        self._poor_until: dict[Address, int] = {}

    def block(self, nature: Nature) -> None:
        """Let the next block come, or a reorg instead."""
        chain, dice = self._chain, self._dice
        chain.base_fee = FEE_WEI
        self._end_poverty()
        if nature is STILL:
            chain.mine()
            return
        if dice.random() < nature.reorg:
            self._reorg(nature)
            return
        if dice.random() < nature.front_run and chain.operations():
            self._count("front run")
            operations, ours = chain.operations(), chain.pending
            chain.pending = []
            chain.run(operations)
            chain.pending += ours
        if nature.lane_taken or nature.poor:
            self._meddle(nature)
        if dice.random() < nature.fee_spike:
            self._count("fee spike")
            chain.base_fee = Wei(FEE_WEI * dice.randint(2, 20))
        empty, late = dice.random() < nature.skip, dice.random() < nature.late
        if empty:
            self._count("empty block")
        if late:
            self._count("late block")
        chain.mine(empty=empty, seconds=dice.choice([30, 60]) if late else BLOCK_S)
        if dice.random() < nature.drop and chain.pending:
            if dice.random() < 0.5:
                self._count("pool dropped")
                chain.drop()
            else:
                self._count("one dropped")
                chain.pending.pop(dice.randrange(len(chain.pending)))

    def _reorg(self, nature: Nature) -> None:
        chain, dice = self._chain, self._dice
        depth = dice.randint(1, min(nature.reorg_depth_max, chain.top.head.number))
        sideways = dice.random() < nature.sideways
        self._count("reorg sideways" if sideways else "reorg")
        chain.reorg(depth, forget=dice.random() < nature.forget, sideways=sideways, length=depth + dice.randint(0, 1))

    def _meddle(self, nature: Nature) -> None:
        """Let other people use what is ours."""
        chain, dice, ours = self._chain, self._dice, self._ours
        lanes = ours.lanes()
        if lanes and dice.random() < nature.lane_taken:
            self._count("lane taken")
            chain.consume(*dice.choice(lanes))
        if dice.random() < nature.relayer_taken:
            self._count("relayer taken")
            self._take_relayer(dice.choice(ours.relayers()))
        sessions = ours.sessions()
        if sessions and dice.random() < nature.owner_revokes:
            self._count("owner revoked")
            chain.revoke(dice.choice(sessions))
        if lanes and dice.random() < nature.poor:
            self._count("deposit missing")
            account = dice.choice(lanes)[0]
            chain.deposits[account] = Wei(1)
            self._poor_until[account] = chain.top.head.number + POOR_BLOCKS

    def _take_relayer(self, relayer: Address) -> None:
        """Send with a relayer's key, at the chain's next nonce: whatever waits there is replaced."""
        chain = self._chain
        spent = chain.top.world.counts.get(relayer, 0)
        waiting = [tx for tx in chain.pending if tx.sender == relayer]
        chain.pending = [tx for tx in chain.pending if tx.sender != relayer]
        chain.push(relayer, STRANGER, b"")
        chain.pending += [tx for tx in waiting if tx.nonce != spent]

    def _end_poverty(self) -> None:
        for account, until in list(self._poor_until.items()):
            if self._chain.top.head.number >= until:
                self._chain.deposits.pop(account, None)
                del self._poor_until[account]

    def calm(self) -> None:
        """Let accounts pay again, and gas cost what it costs on quiet days."""
        for account in self._poor_until:
            self._chain.deposits.pop(account, None)
        self._poor_until.clear()
        self._chain.base_fee = FEE_WEI
