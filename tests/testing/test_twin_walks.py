"""The same random walk of the real runtime on both chains: what it told players, and what the chain then says."""

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from gamekit.core.action import Action
from gamekit.core.event import OperationEvent, RefusedEvent, SessionEvent
from gamekit.core.journal import Event
from gamekit.core.session import Session
from gamekit.devnet import Anvil
from gamekit.testing.chain import FakeChain
from gamekit.testing.scenery import Keys
from gamekit.units import Cursor
from tests.testing import test_twin_plants as plants
from tests.testing.twin_play import STRANGER, Play
from tests.testing.twins import DEVOURS, Simulated, Twin, on_anvil, transaction

STEPS = 30
SEEDS = 8
STRENGTHS = (10, 20, 30, 500, 500)
EVERY = 64
"""Some of what the runtime does depends on the height, by a remainder that divides this."""
QUIET_TURNS = 60

FORMS: dict[str, type[OperationEvent | RefusedEvent | SessionEvent]] = {
    **dict.fromkeys(("settled", "reorged", "final"), OperationEvent),
    "refused": RefusedEvent,
    **{f"session_{what}": SessionEvent for what in ("opened", "lapsed", "revoked", "reorged")},
}

Seen = dict[str, Any]


class Walk:
    """One walk; every choice follows from the seed, none from the chain."""

    def __init__(self, play: Play, seed: int) -> None:
        self.play = play
        self.dice = random.Random(seed)
        self.sessions: list[Session] = []

    async def run(self) -> Seen:
        """Walk, come to rest, and say what was seen."""
        play = self.play
        top = await play.twin.reader.head()
        await play.twin.mine(EVERY - top.number % EVERY)
        await play.start()
        self.sessions = [await play.open(), await play.open()]
        choices = (
            [self.act] * 5 + [self.turn] * 4 + [self.sign, self.sign, self.send, self.send, self.block, self.steal]
        )
        choices += [self.reorg, self.reorg, self.restart, self.revoke, self.open]
        for _ in range(STEPS):
            await self.dice.choice(choices)()
        await self.rest()
        return await self.seen()

    async def act(self) -> None:
        session = self.dice.choice(self.sessions)
        strengths = [self.dice.choice(STRENGTHS) for _ in range(self.dice.randint(1, 4))]
        group = self.dice.choice(["", "", f"group {self.dice.random()}"])
        if group and self.dice.random() < 0.5:
            strengths.append(DEVOURS)  # In a group only: there no gas that is left saves anything.
        if await self.state_of(session) == "open":
            await self.play.accept(session, *strengths, group=group)

    async def turn(self) -> None:
        await self.play.turn()

    async def sign(self) -> None:
        await self.play.sign()

    async def send(self) -> None:
        await self.play.kit._bundler.send_queued()

    async def block(self) -> None:
        await self.play.block()

    async def steal(self) -> None:
        """A stranger bundles what is signed and not sent."""
        play, queued = self.play, list(self.play.kit._bundler._queue.values())
        if queued:
            ops = [play.submission(each) for each in queued]
            nonce = await play.twin.reader.transaction_count(STRANGER.address, pending=True)
            raw, _ = transaction(STRANGER, nonce, gas=8_000_000, to=play.entry_point, data=play.bundle(*ops))
            await play.twin.sender.send_raw_transaction(raw)

    async def reorg(self) -> None:
        await self.play.block()
        await self.play.twin.reorg(self.dice.randint(1, 2))
        await self.play.kit._settle.step()

    async def restart(self) -> None:
        await self.play.restart()

    async def revoke(self) -> None:
        session = self.dice.choice(self.sessions)
        if self.dice.random() < 0.3 and await self.state_of(session) == "open":
            await self.play.kit.revoke(session.permission_id)

    async def open(self) -> None:
        if self.dice.random() < 0.3:
            row, signature = await self.play.propose()
            await self.play.kit.open(row.permission_id, signature)
            self.sessions.append(row)

    async def rest(self) -> None:
        """Go on until nothing is in flight."""
        for _ in range(QUIET_TURNS):
            await self.play.turn()
            state = self.play.kit.state
            busy = any(lane.ready or lane.slots or lane.accepting for lane in state.lanes.values())
            moving = any(row.state in ("granting", "revoking") for row in state.sessions.values())
            if not busy and not moving:
                return
        raise AssertionError(f"not quiet after {QUIET_TURNS} turns: {list(self.play.kit.state.lanes.values())}")

    async def seen(self) -> Seen:
        """Everything but hashes, gas and heights."""
        play = self.play
        told = await play.kit.events_since(Cursor(0))
        records = [(await play.record(each), await play.sequence(each)) for each in self.sessions]
        return {
            "actions": [(row.key, row.state, row.reason) for row in await play.store.select(Action)],
            **{f"events of {place}": self._told(told, place) for place in range(len(self.sessions))},
            "others": [each.kind for each in told if self._which(each) is None],
            "sessions": [await self.state_of(each) for each in self.sessions],
            "chain": [(found.state, found.epoch, found.uses, sequence) for found, sequence in records],
        }

    async def state_of(self, session: Session) -> str:
        """What the journal says; the kit forgets what has ended."""
        row = await self.play.store.get(Session, session.permission_id)
        return row.state if row is not None else ""

    def _told(self, told: Sequence[Event], place: int) -> list[tuple[object, ...]]:
        """The events of one session, in order; how those of several lie between each other nobody promises."""
        return [_read(each) for each in told if self._which(each) == place]

    def _which(self, event: Event) -> int | None:
        """Whose event it is; None where it is no session's."""
        if event.kind not in FORMS:
            return None
        body = msgspec.msgpack.decode(event.body, type=FORMS[event.kind])
        return [bytes(each.permission_id) for each in self.sessions].index(body.permission_id)


def _read(event: Event) -> tuple[object, ...]:
    body = msgspec.msgpack.decode(event.body, type=FORMS[event.kind])
    if isinstance(body, SessionEvent):
        return (event.kind, body.reason, body.code)
    code = body.code if isinstance(body, RefusedEvent) else ""
    return event.kind, code, [(each.key, each.ok, each.error) for each in body.actions]


async def walked(twin: Twin, keys: Keys, seed: int) -> Seen:
    return await Walk(Play(twin, keys), seed).run()


@pytest.mark.slow
@pytest.mark.parametrize("planted", [plants.NamesTheNextCall, plants.ChargesNothing])
async def test_another_chain_leads_elsewhere(planted: type[FakeChain], keys: Keys) -> None:
    """Within the seeds that are walked on the real one."""
    for seed in range(SEEDS):
        first, again, other = [await walked(Simulated(chain), keys, seed) for chain in (FakeChain, FakeChain, planted)]
        assert first == again
        if other != first:
            return
    raise AssertionError(f"{planted.__name__} is not noticed within {SEEDS} walks")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_both_chains_lead_to_the_same(capped_anvil: Anvil, keys: Keys, seed: int) -> None:
    """Behind the campaigns' proxy, so that a reorg puts back what it took out, as the simulated chain and nodes do."""
    simulated = await walked(Simulated(), keys, seed)
    async with on_anvil(capped_anvil, pool=True) as twin:
        real = await walked(twin, keys, seed)
    for what in simulated:
        assert simulated[what] == real[what], what
    assert any(state != "accepted" for _, state, _ in real["actions"])
