"""Racers on one nonce slot: many writers, each with actions of its own, want the same place on the same lane.

Run: python -m tests.campaigns.racers [--racers 64] [--count 32] [--seed 1] [--plant NAME] [--json FILE]

In each round every racer plans an operation of its own for one slot and commits slot and operation to the real journal,
all at once. Who is let in signs, in several variants of the same actions with other fees, and every variant is sent to
the real EntryPoint in one block. Exactly one racer may win, exactly one variant may run, and it must be the winner's.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import coincurve
import msgspec
from eth_account import Account as Wallet

from gamekit.core import prepare
from gamekit.core.action import Action, body_digest
from gamekit.core.fees import Fees
from gamekit.core.lane import Lane
from gamekit.core.tracking import SIGNED, Operation, Slot
from gamekit.demo.stage import BASE_FEE_WEI, Stage, set_stage
from gamekit.devnet import Anvil, AnvilSettings, DevnetNode, deposit
from gamekit.errors import StoreConflict
from gamekit.eth.block import Head
from gamekit.eth.entry_point import encode_handle_ops
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.signature import public_key_address
from gamekit.kit import GameKit
from gamekit.units import ActionId, Gas, NonceSequence, PlayerId, Wei
from tests.campaigns.command import exit_code, judged

RACERS: Final = 64
VARIANTS: Final = 6
"""Operations that the winner signs for its slot."""
TIP_WEI: Final = Wei(10**6)
BUNDLE_GAS: Final = 2_000_000
OPEN_S_MAX: Final = 30.0
EVENT: Final = "0x49628fd1471006c1482da88028e9ce4dbb080b815c9b0344d39e5a8e6ec1419f"


def _winner_not_checked(race: "Race") -> None:
    """A racer that the journal refuses goes on as if it had been let in."""
    race.refusal = ()


def _guard_outside(race: "Race") -> None:
    """The slot is looked at before the commit, and not inside its transaction."""
    race.put(Slot, "admit", lambda self, stored: "")
    race.looks_first = True


PLANTS: Final[dict[str, Callable[["Race"], None]]] = {
    "winner_not_checked": _winner_not_checked,
    "guard_outside_transaction": _guard_outside,
}


class Race:
    """All rounds, on one lane."""

    def __init__(self, kit: GameKit, node: DevnetNode, lane: Lane, racers: int, seed: int) -> None:
        self._kit = kit
        self._node = node
        self._lane = lane
        self._racers = racers
        self._random = random.Random(seed)
        self.refusal: tuple[type[Exception], ...] = (StoreConflict,)
        self.looks_first = False
        self._undo: list[tuple[Any, str, object]] = []
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []

    def put(self, where: Any, name: str, value: object) -> None:
        """Put a bug in until `restore`."""
        self._undo.append((where, name, getattr(where, name)))
        setattr(where, name, value)

    def restore(self) -> None:
        """Take the bugs out again: tests run in this process."""
        for where, name, value in reversed(self._undo):
            setattr(where, name, value)

    async def round(self, number: int, sequence: int) -> None:
        """One slot."""
        head = await self._kit._chain.head()
        order = list(range(self._racers))
        self._random.shuffle(order)
        runs = [self._run(number, racer, NonceSequence(sequence), head) for racer in order]
        winners = [found for found in await asyncio.gather(*runs) if found is not None]
        self.counts["winners"] += len(winners)
        if len(winners) != 1:
            self.faults.append(f"round {number}: {len(winners)} racers won one slot")
        stored = await self._kit.store.get(Slot, self._lane.session.account, self._lane.session.nonce_key, sequence)
        ran = await self._submit([variant for _, variants in winners[:8] for variant in variants])
        self.counts["executions"] += len(ran)
        if len(ran) != 1:
            self.faults.append(f"round {number}: {len(ran)} operations ran in one slot")
        by_hash = {bytes(op.user_op_hash): op.action_ids for _, variants in winners for op, _ in variants}
        if stored is None or any(by_hash.get(each) != stored.action_ids for each in ran):
            self.faults.append(f"round {number}: what ran is not what the journal says stands in the slot")

    async def _run(
        self, number: int, racer: int, sequence: NonceSequence, head: Head
    ) -> tuple[int, list[tuple[Operation, bytes]]] | None:
        """One racer: plan, commit, and if it is let in, sign."""
        lane, session = self._lane, self._lane.session
        action = self._action(number, racer)
        call_data = lane.codec.call_data((action,), try_mode=True)
        times = prepare.times(head, lane.scope, self._kit.config.batch)
        if times is None:
            raise RuntimeError("the session has ended")
        # As cheap as the head allows: each round costs the one session as much of its budget as an operation bids.
        bids = [Fees(Wei(2 * head.base_fee_per_gas + TIP_WEI + each), TIP_WEI) for each in range(VARIANTS)]
        plans = [lane.codec.plan((action,), call_data, True, sequence, times, fees) for fees in bids]
        slot = Slot(
            session.account, session.nonce_key, sequence, session.entry_point, session.permission_id, (action.id,)
        )
        if self.looks_first:
            if await self._kit.store.get(Slot, session.account, session.nonce_key, sequence) is not None:
                return None
            await asyncio.sleep(0)
        try:
            await self._kit.store.commit((action, slot, *plans))
        except StoreConflict as error:
            if isinstance(error, self.refusal):
                self.counts["refused"] += 1
                return None
        signed = []
        for plan in plans:
            signature = self._kit._ports.signer.sign(session, lane.codec.digest(plan))
            signed.append((plan.moved(SIGNED, signature=signature), call_data))
        await asyncio.gather(*[self._commit_variant(operation) for operation, _ in signed])
        return racer, signed

    async def _commit_variant(self, operation: Operation) -> None:
        try:
            await self._kit.store.commit((operation,))
        except StoreConflict as error:
            if isinstance(error, self.refusal):
                raise

    def _action(self, number: int, racer: int) -> Action:
        """An action unlike that of every other racer and round."""
        game = self._kit.game(self._lane.session.game)
        target = number * self._racers + racer + 1
        call = game.encode("attack", [target, 1], Wei(0))
        key = f"round-{number}-{racer}"
        entries = self._lane.scope.calls.entries
        hint = next(place for place, entry in enumerate(entries) if entry.selector == call.data[:4])
        return Action(
            ActionId(target),
            self._lane.session.permission_id,
            key,
            body_digest(call.target, 0, call.data, 0, ""),
            "attack",
            call.target,
            call.data,
            gas=Gas(60_000),
            hint=hint,
        )

    async def _submit(self, variants: Sequence[tuple[Operation, bytes]]) -> list[bytes]:
        """Send every variant in a transaction of its own, all in one block; gives the hashes of what ran."""
        node, session = self._node, self._lane.session
        senders = await node.unlocked_accounts()
        version = EntryPointVersion(session.entry_point_version)
        for place, (operation, call_data) in enumerate(variants):
            submission = self._lane.codec.submission(operation, call_data)
            data = encode_handle_ops([submission], senders[0], version)
            await node.send(senders[place % len(senders)], session.entry_point, data, gas=BUNDLE_GAS)
            self.counts["sent"] += 1
        await node.increase_time(1)  # Faster than the session's pace the module would let nobody through.
        await node.mine()
        receipts = await node.request(list[dict[str, Any]], "eth_getBlockReceipts", "latest")
        logs = [log for receipt in receipts for log in receipt["logs"]]
        return [bytes.fromhex(log["topics"][1][2:]) for log in logs if log["topics"] and log["topics"][0] == EVENT]


async def campaign(racers: int, count: int, seed: int, plant: str) -> tuple[bool, dict[str, Any], list[str]]:
    """Run it; gives whether nothing was wrong, the figures, and what was."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gamekit-racers-") as folder:
        anvil = Anvil.start(Path(folder) / "chain", AnvilSettings(base_fee_wei=BASE_FEE_WEI))
        try:
            stage = await set_stage(Path(folder), anvil.url, ["racer"])
            race = await _race(stage, racers, count, seed, plant)
        finally:
            anvil.stop()
    figures = {
        "racers": racers,
        "rounds": race.counts["rounds"],
        "seed": seed,
        "winners": race.counts["winners"],
        "refused_by_the_journal": race.counts["refused"],
        "operations_sent": race.counts["sent"],
        "executions": race.counts["executions"],
        "double_signed": len(race.faults),
        "seconds_racing": round(time.monotonic() - began, 1),
    }
    return not race.faults, figures, race.faults[:5]


async def _race(stage: Stage, racers: int, count: int, seed: int, plant: str) -> Race:
    async with GameKit.from_config(stage.config) as kit, DevnetNode(stage.url) as node:
        lane = await _lane(kit, node)
        await kit.engine.stop()
        await node.request_optional(object, "evm_setAutomine", False)
        race = Race(kit, node, lane, racers, seed)
        try:
            if plant:
                PLANTS[plant](race)
            for number in range(count):
                await race.round(number, number)
                race.counts["rounds"] += 1
                if race.faults:
                    break
                if (number + 1) % 8 == 0:
                    print(f"{number + 1} rounds, one winner each", flush=True)
        finally:
            race.restore()
        return race


async def _lane(kit: GameKit, node: DevnetNode) -> Lane:
    """Open a session; gives its lane."""
    owner = coincurve.PrivateKey()
    address = public_key_address(owner.public_key.format(compressed=False))
    request = await kit.propose(PlayerId("racer"), "arena", "play_match", address)
    entry_point = kit.session_row(request.permission_id).entry_point
    await deposit(node, entry_point, [request.account], Wei(10**18))
    signed = Wallet.sign_typed_data(owner.secret, full_message=msgspec.to_builtins(request.typed_data))
    await kit.open(request.permission_id, bytes(signed.signature))
    async with asyncio.timeout(OPEN_S_MAX):
        mining = asyncio.create_task(_mine(node))
        try:
            await kit.opened(request.permission_id)
        finally:
            mining.cancel()
    return await kit._resolve.lane_of(kit.session_row(request.permission_id))


async def _mine(node: DevnetNode) -> None:
    while True:
        await node.mine()
        await asyncio.sleep(0.2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from a command line; 0 when nothing is wrong."""
    parser = argparse.ArgumentParser(description="Race for nonce slots.")
    parser.add_argument("--racers", type=int, default=RACERS)
    parser.add_argument("--count", type=int, default=32, help="rounds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plant", default="", choices=["", *PLANTS])
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    clean, figures, faults = asyncio.run(campaign(options.racers, options.count, options.seed, options.plant))
    if options.plant:
        figures |= judged(clean, figures, ("double_signed",))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))
    for fault in faults:
        print(fault)
    return exit_code(clean, figures)


if __name__ == "__main__":
    sys.exit(main())
