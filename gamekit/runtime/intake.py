"""Takes actions in: scope, idempotency, bounds, journal, first acknowledgement.

Accepted means on disk. Everything that can refuse an action cheaply refuses it here, before anything is written; what
was refused left no trace.
"""

from asyncio import Future
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from msgspec import Struct

from gamekit.core.action import Action, ActionRequest, body_digest
from gamekit.core.lane import Lane
from gamekit.core.policy import Denied
from gamekit.core.session import OPEN, Session
from gamekit.errors import (
    ActionInvalid,
    ActionRefused,
    ClientError,
    GamekitError,
    IdempotencyConflict,
    Overloaded,
    Paused,
    ScopeDenied,
    SessionExpired,
    SessionNotOpen,
    SessionRevoked,
    StoreConflict,
    StoreUnavailable,
)
from gamekit.ports import Store
from gamekit.runtime.dispatch import Dispatch
from gamekit.runtime.state import State
from gamekit.units import ActionId, Gas, Wei

KEY_LENGTH_MAX = 128
"""Most characters of an idempotency key."""
RECENT_KEYS = 2048
"""Keys that a lane remembers in memory; older ones are found in the journal."""


class Accepted(Struct, frozen=True):
    """The first acknowledgement: the action is on disk."""

    key: str
    action_id: ActionId
    duplicate: bool = False
    """Whether the key had been accepted before: nothing was queued again."""


BeforeAction = Callable[[Session, ActionRequest], Awaitable[ActionRequest | None]]
"""The game's own server: give the request back to allow it, another one to rewrite it, None to deny it."""

Answer = Accepted | GamekitError


class Intake:
    """Accepts actions for open sessions."""

    def __init__(self, state: State, store: Store, dispatch: Dispatch, before_action: BeforeAction | None) -> None:
        self._state = state
        self._store = store
        self._dispatch = dispatch
        self._before_action = before_action
        self._recent: dict[bytes, dict[str, tuple[bytes, ActionId]]] = {}

    async def accept(self, lane: Lane, requests: Sequence[ActionRequest]) -> list[Answer]:
        """Accept several actions of one session; one answer each, in order, when they are on disk.

        An atomic group is accepted or refused as a whole. The others are independent.
        """
        if self._before_action is not None:
            requests = await _ask_game(self._before_action, lane.session, requests)
        answers: list[Answer | None] = []
        actions: list[Action] = []
        refused_groups: dict[str, GamekitError] = {}
        group_ids: dict[str, int] = {}
        for request in requests:
            made = refused_groups.get(request.group) or self._make(lane, request, group_ids)
            if isinstance(made, Action):
                actions.append(made)
            elif request.group and isinstance(made, GamekitError):
                refused_groups[request.group] = made
            answers.append(None if isinstance(made, Action) else made)
        if refused_groups:
            self._drop_groups(lane, requests, answers, actions, refused_groups)
        if lane.accepting and any(isinstance(answer, Accepted) for answer in answers):
            await self._confirm(lane, answers)
        if not actions:
            return [answer for answer in answers if answer is not None]
        written = iter(await self._write(lane, actions))
        return [answer if answer is not None else next(written) for answer in answers]

    async def cancel(self, lane: Lane, key: str) -> ActionId | None:
        """Take back an action that is in no operation yet; None when it is too late or was never accepted."""
        for action in lane.ready:
            if action.key == key:
                gone = [
                    each for each in lane.ready if each.id == action.id or (action.group and each.group == action.group)
                ]
                await self._dispatch.refuse(lane, gone, "action_cancelled", "taken back before it was signed")
                return action.id
        return None

    def forget(self, lane: Lane) -> None:
        """Drop what is remembered of a session that has ended."""
        self._recent.pop(lane.session.permission_id, None)

    def _make(self, lane: Lane, request: ActionRequest, group_ids: dict[str, int]) -> Action | Answer:
        """Decide one request; reserve what it takes."""
        state = self._state
        if not request.function:
            return ActionRefused("the game's own server refused the action", key=request.key)
        game = state.games[lane.session.game]
        refusal = self._closed(lane, request)
        if refusal is not None:
            return refusal
        try:
            call = game.encode(request.function, request.arguments, request.value)
        except ActionInvalid as error:
            return error
        group = request.group
        digest = body_digest(call.target, call.value, call.data, request.not_after, group)
        known = self._known(lane, request.key, digest)
        if known is not None:
            return known
        verdict = lane.checker.check_call(call)
        if isinstance(verdict, Denied):
            return ScopeDenied(verdict.reason, policy=verdict.policy, limit=verdict.limit, asked=verdict.asked)
        refusal = self._bounds(lane, call.value)
        if refusal is not None:
            return refusal
        action_id = state.new_action_id()
        action = Action(
            action_id,
            lane.session.permission_id,
            request.key,
            digest,
            request.function,
            call.target,
            call.data,
            call.value,
            game.function(request.function).gas or Gas(state.config.batch.call_gas_default),
            verdict.hint,
            verdict.lane_amounts,
            request.not_after,
            group_ids.setdefault(group, action_id) if group else 0,
        )
        self._reserve(lane, action)
        recent = self._recent.setdefault(lane.session.permission_id, {})
        recent[request.key] = (digest, action_id)
        if len(recent) > RECENT_KEYS:
            del recent[next(iter(recent))]
        return action

    def _closed(self, lane: Lane, request: ActionRequest) -> ClientError | None:
        """Whether this session takes no action now."""
        session = lane.session
        if not 1 <= len(request.key) <= KEY_LENGTH_MAX:
            text = f"an idempotency key has 1 to {KEY_LENGTH_MAX} characters, this one {len(request.key)}"
            return ActionInvalid(text, length=len(request.key), length_max=KEY_LENGTH_MAX)
        if lane.stopped == "session_revoked":
            return SessionRevoked("the session is revoked", session=session.permission_id)
        head_at = self._state.head.timestamp
        if lane.stopped == "session_expired" or head_at >= session.valid_until:
            text = f"the session ended at {session.valid_until}, chain time is {head_at}"
            return SessionExpired(text, valid_until=session.valid_until, now=head_at)
        if session.state != OPEN:
            return SessionNotOpen(f"the session is {session.state}", state=session.state)
        pause = self._state.pauses.find(session.game, request.function)
        if pause is not None:
            return Paused(f"{pause.subject} is paused: {pause.reason}", subject=pause.subject, reason=pause.reason)
        return None

    def _bounds(self, lane: Lane, value: Wei) -> ClientError | None:
        """Whether a bounded queue is full, or the session's uses or value run out."""
        state = self._state
        limits = state.config.lanes
        full = lane.room(1, limits.depth_max)
        if full is not None:
            text = f"the lane holds {full.depth} actions, at most {full.depth_max}"
            return Overloaded(text, queue=full.queue, depth=full.depth, depth_max=full.depth_max)
        for queue, depth, most in (
            ("journal", state.accepting, limits.journal_queue_max),
            ("server", state.accepted, limits.accepted_max),
        ):
            if depth >= most:
                return Overloaded(f"the {queue} queue holds {depth} actions", queue=queue, depth=depth, depth_max=most)
        if lane.uses_left() < 1:
            most = lane.scope.usage.uses_max
            return ScopeDenied(f"all {most} uses are taken", policy="UsageLimitPolicy", limit=most, asked=most + 1)
        if value and value > lane.value_left():
            left = lane.value_left()
            return ScopeDenied(f"{left} wei of value are left", policy="ValueLimitPolicy", limit=left, asked=value)
        return None

    def _known(self, lane: Lane, key: str, digest: bytes) -> Answer | None:
        known = self._recent.get(lane.session.permission_id, {}).get(key)
        if known is None:
            return None
        return _same(key, digest, *known)

    async def _confirm(self, lane: Lane, answers: list[Answer | None]) -> None:
        """A repeated key may belong to an action that is still on its way to disk: wait for it, then look again."""
        await self._store.commit(())
        recent = self._recent.get(lane.session.permission_id, {})
        for place, answer in enumerate(answers):
            if isinstance(answer, Accepted) and answer.key not in recent:
                answers[place] = StoreUnavailable("the first action with this key was not written", key=answer.key)

    def _drop_groups(
        self,
        lane: Lane,
        requests: Sequence[ActionRequest],
        answers: list[Answer | None],
        actions: list[Action],
        refused: dict[str, GamekitError],
    ) -> None:
        """Take out the members of groups of which another member was refused."""
        members = iter(tuple(actions))
        for place, request in enumerate(requests):
            if answers[place] is not None:
                continue
            action = next(members)
            if request.group in refused:
                answers[place] = refused[request.group]
                actions.remove(action)
                self._release(lane, action)
                self._recent[lane.session.permission_id].pop(action.key, None)

    async def _write(self, lane: Lane, actions: list[Action]) -> list[Answer]:
        written: Future[None] = self._store.commit(actions)
        # A callback and not the lines after `await`: the lane's order must be the journal's, whoever wakes first.
        written.add_done_callback(partial(self._written, lane, actions))
        try:
            await written
        except StoreConflict:
            return await self._write_unknown(lane, actions)
        except GamekitError as error:
            return [error] * len(actions)
        return [Accepted(action.key, action.id) for action in actions]

    def _written(self, lane: Lane, actions: Sequence[Action], done: "Future[None]") -> None:
        """Move what is on disk into the lane; undo what is not."""
        failed = done.cancelled() or done.exception() is not None
        for action in actions:
            self._release(lane, action)
            if failed:
                self._recent.get(lane.session.permission_id, {}).pop(action.key, None)
        if failed:
            return
        lane.ready.extend(actions)
        self._state.accepted += len(actions)
        self._dispatch.schedule(lane)

    def _reserve(self, lane: Lane, action: Action) -> None:
        lane.accepting += 1
        lane.accepting_value = Wei(lane.accepting_value + action.value)
        self._state.accepting += 1

    def _release(self, lane: Lane, action: Action) -> None:
        lane.accepting -= 1
        lane.accepting_value = Wei(lane.accepting_value - action.value)
        self._state.accepting -= 1

    async def _write_unknown(self, lane: Lane, actions: list[Action]) -> list[Answer]:
        """A key was accepted before, longer ago than memory reaches: answer those keys, write the others."""
        answers: dict[str, Answer] = {}
        fresh: list[Action] = []
        for action in actions:
            rows = await self._store.select(Action, permission_id=action.permission_id, key=action.key)
            if rows:
                answers[action.key] = _same(action.key, action.digest, rows[0].digest, rows[0].id)
            else:
                fresh.append(action)
        if len(fresh) == len(actions):
            return [StoreConflict("the journal refused the actions, and has none of their keys")] * len(actions)
        for action in fresh:
            self._reserve(lane, action)
        written = await self._write(lane, fresh) if fresh else []
        answers.update(zip((action.key for action in fresh), written, strict=True))
        return [answers[action.key] for action in actions]


def _same(key: str, digest: bytes, known_digest: bytes, known_id: ActionId) -> Answer:
    if digest == known_digest:
        return Accepted(key, known_id, duplicate=True)
    return IdempotencyConflict(f"key {key!r} was used before, with another body", key=key)


async def _ask_game(
    before_action: BeforeAction, session: Session, requests: Sequence[ActionRequest]
) -> list[ActionRequest]:
    """Let the game's own server allow, deny or rewrite each request."""
    answers = []
    for request in requests:
        answer = await before_action(session, request)
        # An empty function is refused by `_make`: the caller hears that the game said no.
        answers.append(ActionRequest(request.key, "", group=request.group) if answer is None else answer)
    return answers
