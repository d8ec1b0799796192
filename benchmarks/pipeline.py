"""Actions per second through the runtime: from `act` to accepted on disk, and to signed.

Everything between the caller and the bundler is real: scope, idempotency, journal (SQLite on disk, synchronous=FULL),
batches, planning, hashing, unsealing, signing, envelopes, the second and third commit. Left out: the network, the
gateway and the chain. A stand-in bundler closes each slot at once, as if the operation had been included, so that the
lanes never wait for a block.

Each player keeps a window of actions in flight, asked for in frames, as a websocket client does; an operation carries
up to 64 calls, the contract's most (the default is 32: then the disk's two commits per operation are the limit, at
about 43,000 per second with 100 sessions). A row is one number of
sessions; its figures are medians over rounds, interleaved between the rows.

Run: python benchmarks/pipeline.py [--seconds 3] [--rounds 5] [--sessions 1,100,10000]
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import uvloop
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.report import write_report
from gamekit.accounts import stack
from gamekit.config import BatchConfig, Config, LaneConfig
from gamekit.contracts import artifact
from gamekit.core.action import ActionRequest
from gamekit.core.checker import ScopeChecker
from gamekit.core.game import Game, build_game
from gamekit.core.history import Step
from gamekit.core.lane import Lane
from gamekit.core.manifest import parse_manifest
from gamekit.core.policy import GasPolicy, TimeFramePolicy, UsageLimitPolicy
from gamekit.core.prepare import SessionCodec
from gamekit.core.session import OPEN, Account, Session, key_binding
from gamekit.core.tracking import Operation
from gamekit.core.usage import Usage
from gamekit.eth.block import Head
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.session_validator import permission_id
from gamekit.keys.keystore import Keystore
from gamekit.keys.signer import LocalSigner
from gamekit.kit import KINDS
from gamekit.runtime.dispatch import Dispatch
from gamekit.runtime.intake import Accepted, Intake
from gamekit.runtime.notify import Notify
from gamekit.runtime.poison import Poison
from gamekit.runtime.state import State
from gamekit.store.sqlite import SqliteStore
from gamekit.units import (
    Address,
    BlockHash,
    BlockNumber,
    ChainId,
    Gas,
    NonceKey,
    PermissionId,
    PlayerId,
    UnixSeconds,
    Wei,
)

ARENA = Address(b"\xa7" * 20)
VALIDATOR = Address(b"\x5e" * 20)
NOW = UnixSeconds(1_800_000_000)
FRAME = 16
"""Actions per frame: what a client gathers in a few hundred milliseconds."""
WINDOW = 192
"""Most actions of one player in flight: half of a lane's bound."""
OUTSTANDING_MAX = 20_000
"""Most actions in flight over all players, so that more sessions do not only mean longer queues."""

MANIFEST = (Path(__file__).parent.parent / "examples" / "arena.toml").read_text()


class Figures(Struct, frozen=True):
    """One round of one row."""

    accepted_per_s: float
    signed_per_s: float
    accept_ms_p50: float
    accept_ms_p99: float
    calls_per_operation: float


class IncludeAtOnce:
    """Stands in for bundler and chain: an operation that is signed counts as included."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.dispatch: Dispatch | None = None
        self.signed = 0
        self.operations = 0
        self.room: defaultdict[PermissionId, asyncio.Event] = defaultdict(asyncio.Event)
        """Set when a lane's operation was signed: its player may ask for more."""

    def add(self, operation: Operation) -> None:
        """Close the slot, as `settle` does when it reads the block."""
        live = self._state.slots_by_operation[operation.user_op_hash]
        lane = self._state.lanes[operation.permission_id]
        charged = lane.charge(live.actions, operation)
        assert isinstance(charged, Usage)
        lane.usage = charged
        self._state.unindex(live)
        lane.slots.pop(live.slot.sequence)
        self.signed += len(live.actions)
        self.operations += 1
        assert self.dispatch is not None
        self.dispatch.schedule(lane)
        self.room[operation.permission_id].set()


def make_lane(game: Game, keystore: Keystore, config: Config, number: int) -> Lane:
    """Open a session of its own for one player, with no rate, so that the machine is the limit."""
    account = Address(number.to_bytes(20, "big"))
    entry_point = EntryPointVersion.V08.canonical_address
    row = Account(account, PlayerId(f"p{number}"), ChainId(31337), "reference", "0.8", account, account, b"")
    signer, sealed, binding = keystore.make(lambda key: key_binding(row, VALIDATOR, entry_point, key))
    bound = game.unit("play_match").bind(
        account=account,
        signer=signer,
        revoker=Address(b"\x01" * 20),
        nonce_key=NonceKey(int.from_bytes(VALIDATOR, "big") << 32),
        valid_after=NOW,
    )
    scope = replace(
        bound,
        rate=None,
        usage=UsageLimitPolicy(2**32 - 1),
        gas=GasPolicy(Wei(2**127), Wei(2**126)),
        time=TimeFramePolicy(NOW, UnixSeconds(NOW + 3600)),
        calls_max=config.batch.calls_max,
    )
    packed = scope.pack()
    session = Session(
        permission_id(ChainId(31337), VALIDATOR, account, packed),
        row.player,
        account,
        ChainId(31337),
        "reference",
        "0.8",
        entry_point,
        VALIDATOR,
        "arena",
        "play_match",
        signer,
        sealed,
        binding,
        packed,
        scope.nonce_key.to_bytes(24, "big"),
        scope.time.valid_after,
        scope.time.valid_until,
        state=OPEN,
    )
    codec = SessionCodec(session, scope, stack("reference"), config.batch)
    return Lane(session, ScopeChecker(scope, account, (VALIDATOR, entry_point)), codec, Usage(), 0)


async def play(intake: Intake, lane: Lane, room: asyncio.Event, window: int, until: float, waits: list[float]) -> int:
    """Ask for frames of actions until the time is over, at most `window` unsigned at once; count what was accepted."""
    keys = count()
    size = min(FRAME, window)

    async def loop() -> int:
        accepted = 0
        while time.perf_counter() < until:
            if lane.depth + size > window:
                room.clear()
                await room.wait()
                continue
            asked = [ActionRequest(f"match:{next(keys)}", "move", (1, -1)) for _ in range(size)]
            begin = time.perf_counter()
            answers = await intake.accept(lane, asked)
            waits.append(time.perf_counter() - begin)
            refused = [answer for answer in answers if not isinstance(answer, Accepted)]
            if refused:
                raise refused[0]
            accepted += len(answers)
        room.set()
        return accepted

    return sum(await asyncio.gather(*[loop() for _ in range(max(1, window // FRAME))]))


async def measure(folder: Path, game: Game, sessions: int, seconds: float) -> Figures:
    """One round: a new journal, new keys, `sessions` players."""
    config = Config(lanes=LaneConfig(journal_queue_max=100_000), batch=BatchConfig(calls_max=64))
    keystore = Keystore.open(folder / f"{sessions}.key")
    writer = ThreadPoolExecutor(1)
    store = SqliteStore.open(folder / f"{time.monotonic_ns()}.sqlite", kinds=KINDS, executor=writer)
    state = State(config, {"arena": game})
    state.history.apply(
        Step((), (Head(BlockNumber(1), BlockHash(b"\1" * 32), BlockHash(bytes(32)), NOW, Wei(10**9), Gas(10**9)),))
    )
    bundler = IncludeAtOnce(state)
    poison = Poison(state, None)  # type: ignore[arg-type] # no lane is ever suspected: no chain is asked
    dispatch = Dispatch(state, store, LocalSigner(keystore), bundler, Notify(state, store), poison)  # type: ignore[arg-type]
    bundler.dispatch = dispatch
    intake = Intake(state, store, dispatch, None)
    lanes = [make_lane(game, keystore, config, number + 1) for number in range(sessions)]
    for lane in lanes:
        state.put_lane(lane)
    running = asyncio.create_task(dispatch.run())
    window = max(1, min(WINDOW, OUTSTANDING_MAX // sessions))
    waits: list[float] = []
    begin = time.perf_counter()
    until = begin + seconds
    accepted = sum(
        await asyncio.gather(
            *[play(intake, lane, bundler.room[lane.session.permission_id], window, until, waits) for lane in lanes]
        )
    )
    accepted_s = time.perf_counter() - begin
    while bundler.signed < accepted:
        await asyncio.sleep(0.001)
    signed_s = time.perf_counter() - begin
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
    writer.shutdown()
    waits.sort()
    return Figures(
        accepted / accepted_s,
        bundler.signed / signed_s,
        waits[len(waits) // 2] * 1000,
        waits[len(waits) * 99 // 100] * 1000,
        bundler.signed / bundler.operations,
    )


def median(rounds: Sequence[Figures], name: str) -> float:
    """Median of one figure over the rounds."""
    return float(statistics.median(getattr(figures, name) for figures in rounds))


def main() -> None:
    """Measure, print, write `benchmarks/results/pipeline.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sessions", default="1,100,10000")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.sessions.split(",")]
    game = build_game(parse_manifest(MANIFEST), artifact("Arena").abi, ARENA)
    rounds: dict[int, list[Figures]] = {size: [] for size in sizes}
    with tempfile.TemporaryDirectory(dir=os.environ.get("GAMEKIT_BENCH_DIR", ".")) as folder:
        for _ in range(arguments.rounds):
            for size in sizes:
                figures = uvloop.run(measure(Path(folder), game, size, arguments.seconds))
                rounds[size].append(figures)
                told = f"{figures.accepted_per_s:>9,.0f} accepted/s {figures.signed_per_s:>9,.0f} signed/s"
                print(f"{size:>6} sessions: {told}", flush=True)
    rows = [
        {"name": f"sessions_{size}", "sessions": size}
        | {name: median(found, name) for name in Figures.__struct_fields__}
        for size, found in rounds.items()
    ]
    write_report("pipeline", " ".join((__doc__ or "").split("\n\n")[1].split()), rows)


if __name__ == "__main__":
    main()
