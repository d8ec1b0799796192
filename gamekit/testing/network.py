"""What goes wrong between the runtime and the chain, by chance: an adapter of the ports in front of the chain.

Each fault is one that a real node shows: no answer, an answer that is lost, a late one, one from a node that is behind,
a transaction that is said to be taken and is forgotten, or that arrives twice or much later.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from gamekit.errors import ChainUnavailable, SubmitError, SubmitterUnavailable
from gamekit.eth.block import Head, TransactionReceipt
from gamekit.eth.entry_point import GET_NONCE
from gamekit.eth.session_validator_abi import SESSION_OF
from gamekit.runtime.patience import Relayed
from gamekit.testing.chain import FakeChain
from gamekit.testing.lies import bend, committed, lie_about_receipts, read_receipts
from gamekit.units import Address, BlockHash, BlockNumber, Gas, Hash32

T = TypeVar("T")

BENT: Final = 0.01
"""How many of the answers that no block proves are false, in bad weather."""
USAGE_BENT: Final = False
"""Whether what a session has used is among them. One answer is believed, so a false one lets a server sign for more gas
than is left: the chain refuses that, and I8 and I11 are broken all the same."""
BENDABLE: Final = frozenset({GET_NONCE.selector, SESSION_OF.selector} if USAGE_BENT else {GET_NONCE.selector})
"""Questions to contracts whose answers are bent."""
DECODED: Final = frozenset({GET_NONCE.selector, SESSION_OF.selector})
"""Questions to contracts whose answers are nothing at all, now and then."""


class Weather(Struct, frozen=True):
    """How often each fault comes, as a share of all calls from 0 to 1."""

    drop: float = 0.0
    """Reads that are not answered."""
    delay: float = 0.0
    """Calls that are answered late, by up to `delay_s`: so they overtake each other."""
    delay_s: float = 1.0
    stale: float = 0.0
    """Reads that are answered by a node up to `stale_blocks` behind."""
    stale_blocks: int = 3
    lie: float = 0.0
    """Reads of receipts about which the node lies: it adds one of a bundle that is only pending, leaves one out, or
    turns an outcome."""
    bend: float = 0.0
    """Answers about blocks, nonces and contracts that are false, and look right; or that are none."""
    lose_reply: float = 0.0
    """Sends that arrive, and are not answered."""
    lose: float = 0.0
    """Sends that do not arrive, and are not answered."""
    forget: float = 0.0
    """Sends that are said to be taken, and are forgotten."""
    double: float = 0.0
    """Sends that arrive twice, the second time up to `delay_s` later."""


CALM = Weather()
ROUGH = Weather(
    drop=0.03, delay=0.05, stale=0.02, lie=0.3, bend=BENT, lose_reply=0.1, lose=0.05, forget=0.05, double=0.1
)
STORM = Weather(0.1, 0.15, 3.0, 0.1, 4, lie=0.5, bend=BENT, lose_reply=0.15, lose=0.1, forget=0.1, double=0.15)


class Sky:
    """The weather of the moment, which outlives every process."""

    def __init__(self, chance: random.Random, weather: Weather = CALM) -> None:
        self.chance = chance
        self.weather = weather
        self.faults: dict[str, int] = {}
        """How often each fault came."""

    def count(self, fault: str) -> None:
        """A fault came."""
        self.faults[fault] = self.faults.get(fault, 0) + 1

    def total(self) -> int:
        """How many came so far."""
        return sum(self.faults.values())


class Network(Relayed):
    """One process's way to the chain. Implements `ports.ChainReader` and `ports.TransactionSender`."""

    def __init__(self, chain: FakeChain, sky: Sky, reach: Callable[[str], None]) -> None:
        """Take the chain and the weather.

        Args:
            chain: what is behind it.
            sky: what goes wrong now.
            reach: told of each point that the process reaches (empty: nothing but "it runs"); raises once it is dead.
        """
        super().__init__(chain)
        self.chain = chain
        self._sky = sky
        self._reach = reach
        self._count = sky.count
        self.checked = True
        """Whether blocks must prove their receipts: `chain.blocks_checked`."""

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        self._reach("")
        weather, dice = self._sky.weather, self._sky.chance
        if weather is CALM:
            return await question()
        roll = dice.random()
        if roll < weather.drop:
            self._count("read dropped")
            await asyncio.sleep(weather.delay_s)
            raise ChainUnavailable("no answer in time")
        roll -= weather.drop
        if roll < weather.stale:
            self._count("read stale")
            self.chain.lag = dice.randint(1, weather.stale_blocks)
            try:
                return await question()  # Nothing in the chain waits, so nobody else sees it lag.
            finally:
                self.chain.lag = 0
        roll -= weather.stale
        if roll < weather.delay:
            self._count("read delayed")
            before = dice.random() < 0.5
            if before:
                await asyncio.sleep(dice.uniform(0, weather.delay_s))
            answer = await question()
            if not before:
                await asyncio.sleep(dice.uniform(0, weather.delay_s))
            return answer
        return await question()

    async def block(self, number: BlockNumber) -> Head | None:
        """See `ports.ChainReader`: now and then it is one of another fork, of which nothing else is ever heard."""
        found = await super().block(number)
        if found is not None and self._is_bent("block of another fork"):
            return replace(found, hash=BlockHash(self._sky.chance.randbytes(32)))
        return found

    async def receipts(self, block: Head) -> tuple[TransactionReceipt, ...]:
        """See `ports.ChainReader`: what a lying node says passes through the adapter that is shipped."""
        found = await super().receipts(block)
        weather, dice = self._sky.weather, self._sky.chance
        if not weather.lie or dice.random() >= weather.lie:
            return found
        kind, said = lie_about_receipts(self.chain, block, found, dice)
        if not kind:
            return found
        self._count(kind)
        return await read_receipts(committed(block, found), said, checked=self.checked)

    async def call(self, to: Address, data: bytes, *, sender: Address | None = None, gas: Gas | None = None,
                   block: BlockHash | None = None) -> bytes:  # fmt: skip
        """See `ports.ChainReader`: now and then the answer is false, and nothing shows it."""
        answer = await super().call(to, data, sender=sender, gas=gas, block=block)
        if data[:4] in BENDABLE and self._is_bent("call bent"):
            return bend(data, answer, self._sky.chance)
        return b"" if data[:4] in DECODED and self._is_bent("call answered by nothing") else answer

    async def transaction_count(
        self, address: Address, *, pending: bool = False, block: BlockHash | None = None
    ) -> int:
        """See `ports.ChainReader`: now and then it is false, too."""
        answer = await super().transaction_count(address, pending=pending, block=block)
        if self._is_bent("count bent"):
            return max(0, answer + self._sky.chance.choice((-1, 1, 1, 1000)))
        return answer

    async def code(self, address: Address, *, block: BlockHash | None = None) -> bytes:
        """See `ports.ChainReader`: now and then it is another contract's."""
        answer = await super().code(address, block=block)
        return answer + b"\0" if self._is_bent("code bent") else answer

    async def storage(self, address: Address, slot: Hash32) -> Hash32:
        """See `ports.ChainReader`: now and then it is another word."""
        answer = await super().storage(address, slot)
        return Hash32(self._sky.chance.randbytes(32)) if self._is_bent("storage bent") else answer

    def _is_bent(self, what: str) -> bool:
        bent = self._sky.weather.bend
        if not bent or self._sky.chance.random() >= bent:
            return False
        self._count(what)
        return True

    async def send_raw_transaction(self, raw: bytes) -> None:
        """See `ports.TransactionSender`."""
        self._reach("before send")
        fault = self._fault()
        if not fault:
            await self.chain.send_raw_transaction(raw)
        else:
            await self._send_badly(fault, raw)
        self._reach("after send")

    def _fault(self) -> str:
        """Roll what goes wrong with a send; empty if nothing does."""
        weather = self._sky.weather
        if weather is CALM:
            return ""
        roll = self._sky.chance.random()
        for fault in ("lose_reply", "lose", "forget", "double", "delay"):
            share: float = getattr(weather, fault)
            if roll < share:
                return fault
            roll -= share
        return ""

    async def _send_badly(self, fault: str, raw: bytes) -> None:
        weather, dice = self._sky.weather, self._sky.chance
        self._count(f"send {fault}")
        if fault == "forget":
            return
        if fault == "delay":
            await asyncio.sleep(dice.uniform(0, weather.delay_s))
        if fault == "double":
            loop = asyncio.get_running_loop()
            loop.call_later(dice.uniform(0, weather.delay_s), self._arrive, raw)
        if fault != "lose":
            await self.chain.send_raw_transaction(raw)
        if fault in ("lose", "lose_reply"):
            await asyncio.sleep(weather.delay_s)
            raise SubmitterUnavailable("the reply was lost")

    def _arrive(self, raw: bytes) -> None:
        """A copy that was on its way: whether its sender still lives does not matter."""
        try:
            self.chain.take(raw)
        except SubmitError:
            self._count("send double refused")
