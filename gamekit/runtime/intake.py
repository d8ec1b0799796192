"""Takes actions in: scope, idempotency, bounds, journal, first acknowledgement.

Accepted means on disk. Everything that can refuse an action cheaply refuses it here, before anything is written; what
was refused left no trace.
"""

import asyncio
from asyncio import Future, Task
from collections.abc import Coroutine, Iterable, Sequence
from functools import partial

from msgspec import Struct

from gamekit.core import admission
from gamekit.core import batch as batching
from gamekit.core.action import Action, ActionRequest, body_digest
from gamekit.core.lane import Lane
from gamekit.core.policy import Denied
from gamekit.core.restoring import RESTORED
from gamekit.errors import (
    ActionInvalid,
    ClientError,
    EncodingInvalid,
    GamekitError,
    IdempotencyConflict,
    Outcome,
    Overloaded,
    ScopeDenied,
    StoreConflict,
    StoreError,
    StoreUnavailable,
)
from gamekit.eth.calldata import Call
from gamekit.ports import Store
from gamekit.runtime.ask import Ask, BeforeAction, Judged
from gamekit.runtime.dispatch import Dispatch
from gamekit.runtime.state import State
from gamekit.units import ActionId, Gas, Wei


class Accepted(Struct, frozen=True):
    """The first acknowledgement: the action is on disk."""

    key: str
    action_id: ActionId
    duplicate: bool = False
    """Whether the key had been accepted before: nothing was queued again."""


Answer = Accepted | GamekitError


class Intake:
    """Accepts actions for open sessions."""

    def __init__(self, state: State, store: Store, dispatch: Dispatch, before_action: BeforeAction | None) -> None:
        self._state = state
        self._store = store
        self._dispatch = dispatch
        self._ask = Ask(before_action, state.config.lanes) if before_action is not None else None
        self._recent = state.recent
        self._tasks: set[Task[list[Answer]]] = set()

    def accept(self, lane: Lane, requests: Sequence[ActionRequest]) -> "Future[list[Answer]]":
        """Accept several actions of one session; resolves with one answer each, in order, when they are on disk.

        An atomic group is accepted or refused as a whole. The others are independent. Not a coroutine: the common case
        costs no task, and cancelling the future cancels no action.
        """
        if self._ask is not None:
            return self._later(self._ask_then_accept(self._ask, lane, requests))
        answers, actions = self._decide(lane, requests)
        written = self._write(lane, actions) if actions else None
        if any(answer is not None and self._is_doubtful(lane, answer) for answer in answers):
            return self._later(self._answer_slowly(lane, requests, answers, actions, written))
        result: Future[list[Answer]] = asyncio.get_running_loop().create_future()
        if written is None:
            result.set_result(_filled(answers, ()))
        else:
            written.add_done_callback(partial(self._answer, lane, requests, answers, actions, result))
        return result

    async def cancel(self, lane: Lane, key: str) -> ActionId | None:
        """Take back an action that is in no operation yet; None when it is too late or was never accepted."""
        if RESTORED in self._state.pauses:
            return None
        for action in lane.ready:
            if action.key == key:
                gone = [
                    each for each in lane.ready if each.id == action.id or (action.group and each.group == action.group)
                ]
                try:
                    await self._dispatch.refuse(lane, gone, "action_cancelled", "taken back before it was signed")
                except StoreError:
                    self._dispatch.schedule(lane)  # It may have been passed over while it had nothing to do.
                    raise
                return action.id
        return None

    async def _ask_then_accept(self, ask: Ask, lane: Lane, asked: Sequence[ActionRequest]) -> list[Answer]:
        """Let the game's own server look at the requests first, in the order of the lane's frames."""
        try:
            async with ask.turn(lane.session.permission_id, len(asked)) as until:
                judged = await ask.judge(lane.session, asked, partial(self._is_new, lane), until)
                answers, actions = self._decide(lane, asked, judged)
                written = self._write(lane, actions) if actions else None
        except Overloaded as error:
            return [error] * len(asked)
        return await self._answer_slowly(lane, asked, answers, actions, written)

    async def _is_new(self, lane: Lane, request: ActionRequest) -> bool:
        """Whether the game's own server must be asked: the key is not known, and the request could be an action."""
        permission_id = lane.session.permission_id
        if self._recent.known(permission_id, request.key) is not None:
            return False
        try:
            self._encode(lane, request)
        except EncodingInvalid:
            return False
        # One read for each new key: it costs far less than asking another server.
        rows = await self._store.select(Action, permission_id=permission_id, key=request.key)
        if rows and self._recent.known(permission_id, request.key) is None:
            self._recent.remember(permission_id, request.key, (rows[0].digest, rows[0].id))
        return not rows

    def _encode(self, lane: Lane, request: ActionRequest) -> tuple[Call, bytes]:
        """Give the call of a request, and the digest of all that was asked for. Raises EncodingInvalid."""
        call = self._state.games[lane.session.game].encode(request.function, request.arguments, request.value)
        return call, body_digest(call.target, call.value, call.data, request.not_after, request.group)

    def _later(self, answering: Coroutine[None, None, list[Answer]]) -> "Future[list[Answer]]":
        """Answer in a task: the uncommon cases, which must look into the journal."""
        task = asyncio.create_task(answering)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return asyncio.shield(task)

    def _decide(
        self, lane: Lane, requests: Sequence[ActionRequest], judged: Sequence[Judged] = ()
    ) -> tuple[list[Answer | None], list[Action]]:
        """Decide each request: an answer, or an action to write, for which the answer is still None.

        Args:
            judged: what the game's own server made of each request; empty if there is none.
        """
        answers: list[Answer | None] = []
        actions: list[Action] = []
        state = self._state
        calls_max = min(state.config.batch.calls_max, lane.scope.calls_max)
        refused_groups = admission.bad_groups(requests, calls_max)
        group_ids: dict[str, int] = {}
        known_groups: set[str] = set()
        now = state.head.timestamp
        closed = admission.closed(lane, now) or admission.unpaid(lane, state.stops, now)
        room = admission.room(lane, self._queues())
        try:
            for request, becomes in zip(requests, judged or requests, strict=True):
                group = request.group
                made: Action | Answer | None = refused_groups.get(group) if group and refused_groups else None
                if made is None:
                    made = self._make(lane, request, becomes, closed, room - len(actions), group_ids)
                if isinstance(made, Action):
                    actions.append(made)
                    answers.append(None)
                    continue
                if group and isinstance(made, GamekitError):
                    refused_groups[group] = made
                elif group:
                    known_groups.add(group)
                answers.append(made)
        except BaseException:
            # A defect must leave no key behind that was never written: its retry would be told "accepted".
            self._undo(lane, actions)
            raise
        for group in known_groups & group_ids.keys() - refused_groups.keys():
            refused_groups[group] = _other_group(group)
        if refused_groups:
            self._drop_groups(lane, requests, answers, actions, refused_groups)
        self._reserve(lane, actions)
        return answers, actions

    def _is_doubtful(self, lane: Lane, answer: Answer) -> bool:
        """Whether an answer needs a look into the journal before it is given.

        A repeated key may belong to an action that is still on its way to disk; and a final refusal must not be told
        of an action that was accepted before the memory of its key was lost.
        """
        if isinstance(answer, Accepted):
            return lane.accepting > 0
        return answer.outcome is Outcome.FINAL and not isinstance(answer, IdempotencyConflict)

    def _answer(
        self,
        lane: Lane,
        requests: Sequence[ActionRequest],
        answers: list[Answer | None],
        actions: list[Action],
        result: "Future[list[Answer]]",
        written: "Future[None]",
    ) -> None:
        """The commit is done: tell the common case."""
        if result.done():
            self._state.writing.discard(actions[0].id)
            return
        if written.exception() is None:
            result.set_result(_filled(answers, [Accepted(action.key, action.id) for action in actions]))
            return
        slowly = self._later(self._answer_slowly(lane, requests, answers, actions, written))
        slowly.add_done_callback(partial(_hand_on, result))

    async def _answer_slowly(
        self,
        lane: Lane,
        requests: Sequence[ActionRequest],
        answers: list[Answer | None],
        actions: list[Action],
        written: "Future[None] | None",
    ) -> list[Answer]:
        """Wait for the commit, then look into the journal wherever the answer depends on it."""
        told = await self._written_answers(lane, actions, written) if written is not None else []
        filled = _filled(answers, told)
        if lane.accepting or any(isinstance(answer, Accepted) and answer.duplicate for answer in filled):
            # The journal is asked only once everything before is on disk, or refused.
            await self._store.commit(())
        recent = self._recent.of(lane.session.permission_id)
        for place, answer in enumerate(filled):
            if isinstance(answer, Accepted):
                if (
                    answer.duplicate
                    and answer.key not in recent
                    and not await self._accepted_before(lane, requests[place])
                ):
                    filled[place] = StoreUnavailable("the first action with this key was not written", key=answer.key)
            elif answer.outcome is Outcome.FINAL:
                filled[place] = await self._accepted_before(lane, requests[place]) or answer
        return filled

    async def _accepted_before(self, lane: Lane, request: ActionRequest) -> Answer | None:
        """What the journal says of this key: the first answer again, a conflict, or None if it has no such key."""
        rows = await self._store.select(Action, permission_id=lane.session.permission_id, key=request.key)
        if not rows:
            return None
        try:
            _, digest = self._encode(lane, request)
        except EncodingInvalid:
            digest = b""
        return _same(request.key, digest, rows[0].digest, rows[0].id)

    def _make(
        self,
        lane: Lane,
        request: ActionRequest,
        becomes: Judged,
        closed: ClientError | None,
        room: int,
        group_ids: dict[str, int],
    ) -> Action | Answer:
        """Decide one request.

        Args:
            lane: the session's.
            request: what is asked for; its key stands for this, whatever it becomes.
            becomes: what the game's own server made of it.
            closed: why the session takes no action now.
            room: how many more actions fit into the queues and the session's uses.
            group_ids: the ids that the frame's groups have so far.
        """
        state, session, group = self._state, lane.session, request.group
        try:
            call, digest = self._encode(lane, request)
            known = self._recent.known(session.permission_id, request.key)
            if known is not None:
                return _same(request.key, digest, *known)
            if becomes is not request:
                if isinstance(becomes, GamekitError):
                    return becomes
                call, _ = self._encode(lane, becomes)
                request = becomes
        except EncodingInvalid as error:
            return ActionInvalid(str(error), **error.compared | {"function": request.function})
        if closed is not None:
            return closed
        verdict = lane.checker.check_call(call)
        if isinstance(verdict, Denied):
            return ScopeDenied(verdict.reason, policy=verdict.policy, limit=verdict.limit, asked=verdict.asked)
        if room < 1 or call.value or state.pauses or not 1 <= len(request.key) <= admission.KEY_LENGTH_MAX:
            refusal = admission.refusal(lane, request, room, self._queues(), state.pauses)
            if refusal is not None:
                return refusal
        action_id = state.new_action_id()
        self._recent.remember(session.permission_id, request.key, (digest, action_id))
        if call.value:
            lane.accepting_value = Wei(lane.accepting_value + call.value)
        return Action(
            action_id,
            session.permission_id,
            request.key,
            digest,
            request.function,
            call.target,
            call.data,
            call.value,
            state.games[session.game].functions[request.function].gas or Gas(state.config.batch.call_gas_default),
            verdict.hint,
            verdict.lane_amounts,
            request.not_after,
            group_ids.setdefault(group, action_id) if group else 0,
        )

    def _queues(self) -> admission.Queues:
        return admission.Queues(self._state.config.lanes, self._state.accepting, self._state.accepted)

    def _drop_groups(
        self,
        lane: Lane,
        requests: Sequence[ActionRequest],
        answers: list[Answer | None],
        actions: list[Action],
        refused: dict[str, GamekitError],
    ) -> None:
        """Take out the members of groups of which another member was refused."""
        gone: dict[ActionId, GamekitError] = {}
        members = iter(tuple(actions))
        for place, request in enumerate(requests):
            if answers[place] is not None:
                continue
            action = next(members)
            if request.group in refused:
                answers[place] = gone[action.id] = refused[request.group]
                actions.remove(action)
                self._undo(lane, (action,))
        for place, answer in enumerate(answers):
            if isinstance(answer, Accepted) and answer.action_id in gone:
                # The same key twice in this frame: what it repeats was not taken.
                answers[place] = gone[answer.action_id]

    def _write(self, lane: Lane, actions: list[Action]) -> "Future[None]":
        try:
            written = self._store.commit(actions)
        except StoreError as error:
            written = asyncio.get_running_loop().create_future()
            written.set_exception(error)
        # A callback and not the lines after an `await`: the lane's order must be the journal's, whoever wakes first.
        written.add_done_callback(partial(self._written, lane, actions))
        return written

    async def _written_answers(self, lane: Lane, actions: list[Action], written: "Future[None]") -> list[Answer]:
        """One answer for each action that was to be written."""
        try:
            await asyncio.shield(written)
        except StoreConflict:
            try:
                return await self._write_unknown(lane, actions)
            finally:
                self._state.writing.discard(actions[0].id)
        except GamekitError as error:
            return [error] * len(actions)
        return [Accepted(action.key, action.id) for action in actions]

    def _written(self, lane: Lane, actions: Sequence[Action], done: "Future[None]") -> None:
        """Move what is on disk into the lane; undo what is not."""
        failed = done.cancelled() or done.exception() is not None
        self._release(lane, actions)
        if failed:
            if not done.cancelled() and isinstance(done.exception(), StoreConflict):
                # Until the second attempt, which keeps their ids.
                self._state.writing.add(actions[0].id)
            for action in actions:
                self._recent.drop(lane.session.permission_id, action.key)
            return
        if lane.ready and lane.ready[-1].id > actions[0].id:
            # Written in a second attempt, behind what came after them.
            batching.put_back(lane.ready, tuple(actions))
        else:
            lane.ready.extend(actions)
        self._state.accepted += len(actions)
        self._dispatch.schedule(lane)

    def _undo(self, lane: Lane, actions: Sequence[Action]) -> None:
        """Forget actions that are made, and on no way to disk."""
        for action in actions:
            self._recent.drop(lane.session.permission_id, action.key)
            lane.accepting_value = Wei(lane.accepting_value - action.value)

    def _reserve(self, lane: Lane, actions: Sequence[Action]) -> None:
        """Count actions that are on their way to disk; their value is counted where they are made."""
        lane.accepting += len(actions)
        self._state.accepting += len(actions)
        self._state.writing.update(action.id for action in actions[:1])

    def _release(self, lane: Lane, actions: Sequence[Action]) -> None:
        """They are on disk, or refused."""
        lane.accepting -= len(actions)
        lane.accepting_value = Wei(lane.accepting_value - sum([action.value for action in actions]))
        self._state.accepting -= len(actions)
        self._state.writing.difference_update(action.id for action in actions[:1])

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
        known_groups = {action.group for action in actions if action.group and action.key in answers}
        for action in [action for action in fresh if action.group in known_groups]:
            answers[action.key] = _other_group(str(action.group))
            fresh.remove(action)
        if len(fresh) == len(actions):
            return [StoreConflict("the journal refused the actions, and has none of their keys")] * len(actions)
        self._reserve(lane, fresh)
        lane.accepting_value = Wei(lane.accepting_value + sum([action.value for action in fresh]))
        written = await self._written_answers(lane, fresh, self._write(lane, fresh)) if fresh else []
        answers.update(zip((action.key for action in fresh), written, strict=True))
        return [answers[action.key] for action in actions]


def _hand_on(result: "Future[list[Answer]]", done: "Future[list[Answer]]") -> None:
    if result.done() or done.cancelled():
        return
    error = done.exception()
    if error is not None:
        result.set_exception(error)
    else:
        result.set_result(done.result())


def _filled(answers: Sequence[Answer | None], told: Iterable[Answer]) -> list[Answer]:
    """Put the answers of what was written into their places."""
    rest = iter(told)
    return [answer if answer is not None else next(rest) for answer in answers]


def _other_group(group: str) -> IdempotencyConflict:
    return IdempotencyConflict(f"group {group!r} was used before, with other members", group=group)


def _same(key: str, digest: bytes, known_digest: bytes, known_id: ActionId) -> Answer:
    if digest == known_digest:
        return Accepted(key, known_id, duplicate=True)
    return IdempotencyConflict(f"key {key!r} was used before, with another body", key=key)
