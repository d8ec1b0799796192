"""GameKit: what a game backend holds.

::

    async with GameKit.from_config("gamekit.toml") as kit:
        session = kit.session(permission_id)
        handle = await session.act("attack", {"target": 7}, key="match42:p7:t19")
        outcome = await handle.settled(timeout=2)

An embedder, the gateway and the command line use the same façade.
"""

import asyncio
from asyncio import Future
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Self

import msgspec

from gamekit.adapters import MonotonicClock, Ports, real_ports
from gamekit.config import Config, load
from gamekit.contracts import artifact
from gamekit.core.action import Action, ActionRequest
from gamekit.core.consent import GrantRequest
from gamekit.core.game import Game, build_game
from gamekit.core.histogram import Histogram
from gamekit.core.journal import CHAIN_ID, Event, Meta
from gamekit.core.kinds import KINDS
from gamekit.core.lane import Lane
from gamekit.core.manifest import parse_manifest
from gamekit.core.pausing import CHAIN, FINALITY, Pause, subjects
from gamekit.core.restoring import RESTORED
from gamekit.core.revocation import Revocation
from gamekit.core.session import ENDED, GRANTING, OPEN, PROPOSED, Account, Session, ended_error
from gamekit.core.setup import ChainSetup, chain_setup
from gamekit.core.unit import Unit
from gamekit.core.usage import Usage
from gamekit.core.withdrawal import Withdrawal
from gamekit.errors import ChainMismatch, ConfigInvalid, OutcomeUnknown, SessionNotFound, SessionNotOpen
from gamekit.eth.calldata import Call
from gamekit.eth.transaction import SignedAuthorization
from gamekit.runtime.ask import BeforeAction
from gamekit.runtime.bundle import Bundler
from gamekit.runtime.dispatch import Dispatch
from gamekit.runtime.engine import Engine, require
from gamekit.runtime.grant import Grant
from gamekit.runtime.handle import ActionHandle, SessionHandle
from gamekit.runtime.intake import Answer, Intake
from gamekit.runtime.notify import ALL, Listener, Notify
from gamekit.runtime.observe import Observe
from gamekit.runtime.openings import Openings
from gamekit.runtime.patience import STARTING, Patient
from gamekit.runtime.poison import Poison
from gamekit.runtime.relayers import Relayers
from gamekit.runtime.resolve import Resolve
from gamekit.runtime.restored import Restored, unknown_session
from gamekit.runtime.revoke import Revoke
from gamekit.runtime.rewind import Rewind
from gamekit.runtime.settle import Settle
from gamekit.runtime.sponsor import Sponsor
from gamekit.runtime.state import State
from gamekit.runtime.watchdog import Watchdog
from gamekit.runtime.withdraw import Withdraw, WithdrawalRequest
from gamekit.units import ActionId, Address, Cursor, PermissionId, PlayerId, UnixSeconds, UserOpHash

__all__ = ["KINDS", "GameKit", "MonotonicClock", "Ports", "load_game", "read_abi", "real_ports"]

PAGE = 1000
"""Events read at once when a stream catches up."""


class GameKit:
    """Sessions, actions, events, revocation and withdrawals of a game backend.

    Use as an async context manager. Built from ports, so that tests and benchmarks can bring their own; `from_config`
    brings the real ones.
    """

    def __init__(
        self,
        config: Config,
        games: Sequence[Game],
        ports: "Ports",
        *,
        before_action: BeforeAction | None = None,
    ) -> None:
        shared = ports.relayers.keys() & ports.withdrawal_relayers.keys()
        if shared:
            names = sorted(address.hex() for address in shared)
            raise ConfigInvalid(f"relayers of play must not carry withdrawals: {names}", relayers=names)
        self.config = config
        self.games = {game.name: game for game in games}
        self.setup: ChainSetup = chain_setup(config.chain)
        self.state = State(config, self.games)
        self.store = store = ports.store
        self._ports = ports
        self._turns: dict[PermissionId, Future[None]] = {}
        """Sessions whose lane is being built: done when the latest frame that waits for it has been decided."""
        self._chain = chain = Patient(ports.chain)
        sender, signer = ports.sender, ports.signer
        notify = self._notify = Notify(self.state, store)
        pool = self._relayers = Relayers(self.state, store, chain, sender, signer, ports.relayers, notify)
        apart = self._withdrawal_relayers = Relayers(
            self.state, store, chain, sender, signer, ports.withdrawal_relayers, notify
        )
        self._bundler = Bundler(self.state, store, chain, pool, notify)
        poison = Poison(self.state, chain)
        self._dispatch = Dispatch(self.state, store, signer, self._bundler, notify, poison)
        self._intake = Intake(self.state, store, self._dispatch, before_action)
        payers = self._sponsor = Sponsor(self.state, chain, signer, ports.sponsors, self.setup, pool, notify)
        self._resolve = Resolve(self.state, store, chain, self._dispatch, self._bundler, pool, payers, notify)
        self._openings = Openings(self.state, store)
        self._grant = Grant(self.state, store, chain, ports.keys, self.setup, pool, payers, notify)
        module = self.setup.session_validator
        self._revoke = Revoke(self.state, store, chain, signer, module, pool, self._dispatch, notify, ports.clock)
        self._withdraw = Withdraw(self.state, store, chain, self.setup, apart, notify)
        self._observe = Observe(self.state, store, chain, self.setup, self._dispatch, notify)
        self._restored = Restored(self.state, store, chain, self.setup, self._dispatch, notify)
        self.engine = self._engine()

    @classmethod
    def from_config(
        cls, config: Config | str | Path, games: Sequence[Game] = (), *, before_action: BeforeAction | None = None
    ) -> Self:
        """Build with the real adapters: JSON-RPC, SQLite, the sealed keystore.

        Args:
            config: a configuration, or the path of its TOML file.
            games: games built by the caller; the configuration's manifests are added.
            before_action: the game's own server: allows, denies or rewrites each action.

        Raises: ConfigInvalid naming the setting; StoreUnavailable or StoreError when the journal cannot be opened.
        """
        settings = config if isinstance(config, Config) else load(config)
        root = Path() if isinstance(config, Config) else Path(config).parent
        found = (*games, *(load_game(root / path) for path in settings.games))
        return cls(settings, found, real_ports(settings, root), before_action=before_action)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Check the chain, recover, and run. Raises ChainMismatch, ChainUnavailable or StoreUnavailable."""
        self._chain.attempts = STARTING
        try:
            await self.engine.start()
        finally:
            self._chain.attempts = 1

    async def close(self) -> None:
        """Stop signing, finish what is on its way to disk, close the adapters."""
        await self.engine.stop()
        try:
            await self.store.close()
        finally:
            await self._ports.close()

    def game(self, name: str) -> Game:
        """Find a configured game. Raises ConfigInvalid naming what is known."""
        found = self.games.get(name)
        if found is None:
            raise ConfigInvalid(f"no game {name!r} is configured, only {sorted(self.games)}", game=name)
        return found

    async def propose(
        self,
        player: PlayerId,
        game: str,
        unit: str | Unit,
        owner: Address,
        *,
        stack: str = "",
        entry_point_version: str = "",
        minutes: int | None = None,
    ) -> GrantRequest:
        """Say what the owner's wallet must sign to open a session of a unit of delegation.

        Args:
            unit: its name in the manifest, or for a scope that has none, what `core.unit.raw_unit` made.
            owner: the wallet's address; its account on the stack is found, or will be deployed with the grant.
            stack: name of an account stack; empty takes the first configured.
            minutes: shorter than the unit's, if the player wishes.

        Raises: Overloaded when the player has proposed or opened too many; ConfigInvalid.
        """
        await self._openings.require(player)
        where = self.setup.stack(stack, entry_point_version)
        found = self.game(game).unit(unit) if isinstance(unit, str) else unit
        if found.game is not self.game(game):
            raise ConfigInvalid(f"the unit is one of {found.game.name}, not of this kit's {game}", game=game)
        return await self._grant.propose(player, found, owner, where, minutes=minutes)

    async def open(
        self, permission_id: PermissionId, signature: bytes, authorization: SignedAuthorization | None = None
    ) -> SessionHandle:
        """Take what the wallet signed; returns when the grant is durable and sent. `opened` waits for the chain.

        Args:
            permission_id: the request's.
            signature: over the request's typed data.
            authorization: what the request's `authorization` became, if it has one; wherever it was signed.

        Raises: SessionNotFound, SessionExpired, ConfigInvalid; AuthorizationInvalid, AuthorizationSpent for the
            authorization; Overloaded when the player has opened too many.
        """
        await asyncio.shield(self._open(permission_id, signature, authorization))
        return SessionHandle(self, permission_id)

    async def opened(self, permission_id: PermissionId, timeout: float | None = None) -> None:
        """Wait until a session plays.

        Raises: OutcomeUnknown when the time is over; AuthorizationSpent when the owner's address can no longer
            delegate by what was signed; SessionNotFound.
        """
        row = self.session_row(permission_id)
        changed = asyncio.Event()
        stop = self._notify.subscribe(row.player, lambda _: changed.set())
        try:
            async with asyncio.timeout(timeout):
                while (row := self.session_row(permission_id)).state != OPEN:
                    if row.state in ENDED:
                        raise ended_error(row)
                    await changed.wait()
                    changed.clear()
        except TimeoutError as error:
            text = f"the session is {row.state} after {timeout} s; its grant resolves itself"
            raise OutcomeUnknown(text, state=row.state) from error
        finally:
            stop()

    def session(self, permission_id: PermissionId) -> SessionHandle:
        """A session to act in. What it is asked for raises SessionNotFound when there is none."""
        return SessionHandle(self, permission_id)

    def session_row(self, permission_id: PermissionId) -> Session:
        """The session as it is now. Raises SessionNotFound, for one that ended long ago too."""
        row = self.state.sessions.get(permission_id)
        if row is None:
            raise SessionNotFound(f"no session {permission_id.hex()}", session=permission_id)
        return row

    def sessions(self, player: PlayerId = ALL) -> list[Session]:
        """Sessions that have not ended, of one player or of all."""
        rows = self.state.sessions.values()
        return [row for row in rows if row.state not in ENDED and player in (ALL, row.player)]

    def accept(self, permission_id: PermissionId, requests: Sequence[ActionRequest]) -> "Future[list[Answer]]":
        """Accept actions of one session, in order; resolves with one answer each when the accepted are on disk."""
        lane = self.state.lanes.get(permission_id)
        before = self._turns.get(permission_id) if self._turns else None
        if lane is not None and before is None:
            return self._intake.accept(lane, requests)
        turn = self._turns[permission_id] = asyncio.get_running_loop().create_future()
        return asyncio.shield(asyncio.ensure_future(self._accept_first(permission_id, requests, before, turn)))

    async def recall(
        self, permission_id: PermissionId, requests: Sequence[ActionRequest], player: PlayerId = ALL
    ) -> list[Answer]:
        """Answer retries that were first sent under another journal epoch; nothing is ever executed for them.

        Accepted, with the outcome in journal and events, for what the journal or the chain knows; OutcomeUnknown until
        the chain has told; ActionLost for what never ran.

        Raises: SessionNotFound when the session is another player's.
        """
        session = self.state.sessions.get(permission_id) or await self.store.get(Session, permission_id)
        if session is None:
            return [unknown_session(permission_id)] * len(requests)
        if player not in (ALL, session.player):
            raise SessionNotFound(f"no session {permission_id.hex()}", session=permission_id)
        return await asyncio.shield(self._restored.recall(session, requests))

    def handle(self, key: str, action_id: ActionId) -> ActionHandle:
        """A handle on an accepted action."""
        return ActionHandle(self.state, self.store, key, action_id)

    async def cancel(self, permission_id: PermissionId, key: str) -> bool:
        """Take an action back that is not signed yet; False when it is too late, or unknown."""
        lane = self.state.lanes.get(permission_id)
        return lane is not None and await asyncio.shield(self._intake.cancel(lane, key)) is not None

    async def revoke(self, permission_id: PermissionId, reason: str = "revoked") -> Revocation:
        """End a session; the answer says what may still land, and until when."""
        # Shielded, here and below: a caller who waits no longer must not cut a commit from what follows it.
        return await asyncio.shield(self._revoke.revoke(permission_id, reason))

    def loop_lateness(self) -> Histogram:
        """How late the event loop was, looked at twice a second since start-up."""
        return self._watchdog.late

    def revocation_times(self) -> dict[str, Histogram]:
        """How long revocations took since start-up until: memory, durable, queue_dead, included, final."""
        return dict(self._revoke.times)

    async def pause(self, subject: str, reason: str, by: str) -> None:
        """Stop signing: `chain`, `game:<name>` or `function:<game>.<function>`. Raises ConfigInvalid for another."""
        known = subjects({game.name: game.functions for game in self.games.values()})
        if subject not in known:
            text = f"{subject[:80]!r} cannot be paused, only chain, game:<name> or function:<game>.<function>"
            raise ConfigInvalid(f"{text} of {sorted(self.games)}", subject=subject[:80])
        await asyncio.shield(self._observe.pause(subject, reason, by))

    async def resume(self, subject: str, reason: str, by: str) -> None:
        """Sign again; what waited goes on. Raises ConfigInvalid for what is not paused, or if the engine failed."""
        if self.engine.failed is not None:
            raise ConfigInvalid("the engine failed: no pause of its own ends but by a new start", subject=subject[:80])
        if subject == RESTORED:
            raise ConfigInvalid("it ends by itself, once the chain has told what was lost", subject=subject)
        if subject not in self.state.pauses:
            active = [pause.subject for pause in self.state.pauses]
            raise ConfigInvalid(f"{subject[:80]!r} is not paused, only {active}", subject=subject[:80])
        await asyncio.shield(self._observe.resume(subject, reason, by))

    def fault(self) -> str:
        """Say why nothing is signed for anybody; empty while the engine runs on a head that is young enough."""
        if self.engine.failed is not None:
            return "the engine failed"
        if not self.engine.running:
            return "the engine is not running"
        # By the clock and not by `halted`, which a loop that hangs would never set.
        age_s_max = self.config.chain.head_age_s_max
        if self._ports.clock.monotonic() - self.state.head_seen_at > age_s_max:
            return f"no new block for more than {age_s_max} s"
        return next((pause.reason for pause in self.state.pauses if pause.subject in (FINALITY, RESTORED)), "")

    @property
    def cursor(self) -> Cursor:
        """The last event of the stream."""
        return Cursor(self._notify.next_cursor - 1)

    def subscribe(self, player: PlayerId, listener: Listener) -> Callable[[], None]:
        """Listen to a player's durable events (`ALL`: everybody's) as they are written; call the result to stop."""
        return self._notify.subscribe(player, listener)

    async def events_since(self, cursor: Cursor, limit: int = PAGE, player: PlayerId = ALL) -> list[Event]:
        """Read durable events after a cursor, in order."""
        return await self._notify.since(cursor, limit, player)

    async def events(self, since: Cursor, player: PlayerId = ALL) -> AsyncIterator[Event]:
        """Follow the durable event stream from a cursor, for ever: what is on disk first, then what happens."""
        changed = asyncio.Event()
        stop = self._notify.subscribe(player, lambda _: changed.set())
        try:
            while True:
                changed.clear()
                page = await self._notify.since(since, PAGE, player)
                for event in page:
                    since = event.cursor
                    yield event
                if not page:
                    await changed.wait()
        finally:
            stop()

    async def prepare_withdrawal(
        self, player: PlayerId, account: Address, call: Call, meaning: str = ""
    ) -> WithdrawalRequest:
        """Make an operation for the owner's wallet to sign. No session, key or lane of play is involved."""
        row = self.state.accounts.get(account) or await self.store.get(Account, account)
        if row is None or row.player != player:
            raise ConfigInvalid(f"player {player} has no account {account.hex()}", player=player)
        return await self._withdraw.prepare(row, call, meaning)

    async def submit_withdrawal(self, user_op_hash: UserOpHash, signature: bytes) -> Withdrawal:
        """Send a withdrawal that the owner's wallet signed, and follow it to final."""
        return await asyncio.shield(self._withdraw.submit(user_op_hash, signature))

    async def _open(
        self, permission_id: PermissionId, signature: bytes, authorization: SignedAuthorization | None
    ) -> None:
        async with self._openings.opening(permission_id):
            await self._grant.open(permission_id, signature, authorization)

    async def _accept_first(
        self,
        permission_id: PermissionId,
        requests: Sequence[ActionRequest],
        before: "Future[None] | None",
        turn: "Future[None]",
    ) -> list[Answer]:
        """The session's first actions since start-up: its lane is built from the chain's figures, frames in order."""
        try:
            if before is not None:
                await before
            answers = self._intake.accept(await self._lane(permission_id), requests)
        finally:
            turn.set_result(None)
            if self._turns.get(permission_id) is turn:
                del self._turns[permission_id]
        return await answers

    async def _lane(self, permission_id: PermissionId) -> Lane:
        row = self.state.sessions.get(permission_id) or await self.store.get(Session, permission_id)
        if row is None:
            raise SessionNotFound(f"no session {permission_id.hex()}", session=permission_id)
        if row.state in (PROPOSED, GRANTING):
            raise SessionNotOpen(f"the session is {row.state}", state=row.state)
        if row.state in ENDED:
            if row.game not in self.state.games:
                raise SessionNotFound(f"no session {permission_id.hex()} of a game that is served", game=row.game)
            # A retry of what it accepted gets the first answer; nothing is signed again, so the chain is not asked.
            return self.state.lanes.get(permission_id) or self._resolve.make_lane(row, Usage(), 0)
        return await self._resolve.lane_of(row)

    def _engine(self) -> Engine:
        """Let everything follow the chain."""
        pools, notify = (self._relayers, self._withdrawal_relayers), self._notify
        rewind = Rewind(
            self.state, self.store, self._chain, self._resolve, self._withdraw, pools, self._observe, notify
        )
        followers = (
            *pools,
            self._grant,
            self._revoke,
            self._withdraw,
            self._resolve,
            self._observe,
            self._sponsor,
            self._bundler,
            self._restored,
        )
        self._settle = Settle(
            self.state,
            self.store,
            self._chain,
            self._ports.clock,
            self.setup,
            self._dispatch,
            notify,
            followers,
            rewind,
        )
        self._watchdog = Watchdog(self._ports.clock)
        loops = {
            "settle": self._settle.run,
            "dispatch": self._dispatch.run,
            "bundle": self._bundler.run,
            "watchdog": self._watchdog.run,
        }
        return Engine(self._recover, loops, self._stopped)

    def _stopped(self, reason: str) -> None:
        """A loop failed: nothing more is accepted, since nothing would be signed."""
        self.state.pauses.put(Pause(CHAIN, f"gamekit stopped: {reason}", "gamekit", UnixSeconds(0)))

    async def _recover(self) -> None:
        """Check that the chain is the configured one, load the journal, read the blocks since, and go on."""
        require("the chain id", self.config.chain.chain_id, await self._chain.chain_id())
        known = await self.store.get(Meta, CHAIN_ID)
        if known is None:
            senders = (*self._ports.relayers, *self._ports.withdrawal_relayers)
            before = await self._restored.at_birth(self._ports.has_sealed, senders)
            await self.store.commit((Meta(CHAIN_ID, str(self.config.chain.chain_id).encode()), *before))
        else:
            require("the journal's chain id", self.config.chain.chain_id, int(known.value))
        for address in (self.setup.session_validator, *self.setup.entry_points, *self.setup.paymasters):
            if not await self._chain.code(address):
                raise ChainMismatch(f"there is no code at {address.hex()}", address=address)
        last_event = await self.store.last(Event)
        self._notify.next_cursor = Cursor(last_event.cursor + 1 if last_event else 1)
        last_action = await self.store.last(Action)
        self.state.next_action_id = last_action.id + 1 if last_action else 1
        for pool in (self._relayers, self._withdrawal_relayers):
            await pool.recover()
        await self._resolve.load()
        await self._withdraw.recover()
        await self._observe.recover()
        await self._sponsor.recover()
        await self._restored.recover()
        await self._settle.catch_up()
        await self._observe.compare_code()
        await self._resolve.resume()


def load_game(path: Path) -> Game:
    """Read a manifest and build its game; its ABI is a JSON file beside it, or the name of a contract of gamekit's.

    Raises: ConfigInvalid naming what does not fit.
    """
    manifest = parse_manifest(path.read_text(encoding="utf-8"))
    further = {name: (read_abi(path.parent, each.abi), None) for name, each in manifest.contract.items()}
    return build_game(manifest, read_abi(path.parent, manifest.abi), further=further)


def read_abi(folder: Path, name: str) -> object:
    """Read an ABI: a JSON file beside the manifest, or that of a contract of gamekit's by its name.

    Raises: ConfigInvalid for a contract that gamekit has not; OSError, msgspec.DecodeError for a file.
    """
    beside = folder / name
    return msgspec.json.decode(beside.read_bytes()) if beside.suffix == ".json" else artifact(name).abi
