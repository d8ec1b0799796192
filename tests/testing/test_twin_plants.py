"""Differences planted in the simulated chain: the comparison with the real one must notice each."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest
from msgspec.structs import replace

from gamekit.accounts.reference import TRY_EXECUTE_FAIL
from gamekit.core.usage import Usage
from gamekit.errors import CallReverted
from gamekit.eth.block import Log, TransactionReceipt
from gamekit.eth.entry_point import FAILED_OP, FAILED_OP_WITH_REVERT
from gamekit.eth.session_opener import OPEN
from gamekit.testing.chain import FakeChain
from gamekit.testing.contracts import Executed, ModuleError, Refusal, Verdict, World
from gamekit.testing.scenery import Keys
from gamekit.testing.wire import DecodedTransaction
from gamekit.units import Address, UnixSeconds
from tests.testing import test_twin_contracts as contracts
from tests.testing import test_twin_nodes as nodes
from tests.testing import test_twin_refusals as refusals
from tests.testing.twin_play import ATTACK_HINT, Play
from tests.testing.twins import ATTACK, Node, Simulated

Check = Callable[[Any], Awaitable[None]]


class Remembers(FakeChain):
    """A node answers for blocks that a reorg took out."""

    def reorg(self, depth: int, **how: Any) -> None:
        before = dict(self._by_hash)
        super().reorg(depth, **how)
        self._by_hash = before | self._by_hash


class Forgets(FakeChain):
    """What a reorg took out is pending no more."""

    def reorg(self, depth: int, **how: Any) -> None:
        super().reorg(depth, forget=True)


class TakesAnyFee(FakeChain):
    """The pool lets a transaction be replaced by one that pays less."""

    def _pool(self, transaction: DecodedTransaction) -> None:
        self.pending = [tx for tx in self.pending if (tx.sender, tx.nonce) != (transaction.sender, transaction.nonce)]
        super()._pool(transaction)


class CountsBehindGaps(FakeChain):
    """The pending count goes on behind a nonce that nobody sent."""

    def _pending_count(self, sender: Address) -> int:
        return 1 + max((tx.nonce for tx in self.pending if tx.sender == sender), default=-1)


class LogsOfFailures(FakeChain):
    """What was reverted left its logs."""

    def _transact(self, world: World, tx: Any, head: Any, executed: list[Executed]) -> TransactionReceipt:
        receipt = super()._transact(world, tx, head, executed)
        return receipt if receipt.succeeded else replace(receipt, logs=(Log(tx.to, (), b"", 0),))


class SaysNoReason(FakeChain):
    """AA23 comes without the module's own error."""

    def _validate(self, world: World, place: int, op: Any, at: UnixSeconds) -> Any:
        try:
            return super()._validate(world, place, op, at)
        except Refusal as refusal:
            if refusal.data[:4] == FAILED_OP_WITH_REVERT.selector:
                refusal.data = FAILED_OP.encode(place, "AA23 reverted")
            raise


class LooksAtNonceFirst(FakeChain):
    """AA25 comes before everything else."""

    def _validate(self, world: World, place: int, op: Any, at: UnixSeconds) -> Any:
        if world.nonces.get((op.sender, op.nonce >> 64), 0) != op.nonce & (1 << 64) - 1:
            raise Refusal(place, "AA25 invalid account nonce")
        return super()._validate(world, place, op, at)


class NeverLate(FakeChain):
    """A deadline does not end anything."""

    def _validate(self, world: World, place: int, op: Any, at: UnixSeconds) -> Any:
        return super()._validate(world, place, op, UnixSeconds(self.blocks[4].head.timestamp))


class AllowsEverything(FakeChain):
    """A scope names functions, and nobody looks."""

    def _ask_account(self, world: World, op: Any, key: int, hashed: Any) -> Verdict:
        try:
            return super()._ask_account(world, op, key, hashed)
        except ModuleError as error:
            if error.args[1] == "CallNotAllowed":
                return Verdict(signed=True)
            raise


class ChargesNothing(FakeChain):
    """Uses, pace and gas are checked, and never counted."""

    def _validate(self, world: World, place: int, op: Any, at: UnixSeconds) -> Any:
        hashed = super()._validate(world, place, op, at)
        world.sessions = {name: replace(each, usage=Usage()) for name, each in world.sessions.items()}
        return hashed


class NamesTheNextCall(FakeChain):
    """The account reports the call behind the one that failed."""

    def _run(self, op: Any, hashed: Any, executed: list[Executed]) -> list[Log]:
        return [_next_place(log) for log in super()._run(op, hashed, executed)]


def _next_place(log: Log) -> Log:
    if log.topics[0] != TRY_EXECUTE_FAIL.topic:
        return log
    return replace(log, data=(int.from_bytes(log.data[:32], "big") + 1).to_bytes(32, "big") + log.data[32:])


class CountsLogsAnew(FakeChain):
    """Each transaction's logs are numbered from 0."""

    async def receipts(self, block: Any) -> tuple[TransactionReceipt, ...]:
        found = await super().receipts(block)
        return tuple(
            replace(each, logs=tuple(replace(log, index=place) for place, log in enumerate(each.logs)))
            for each in found
        )


class RefusesAgain(FakeChain):
    """The opener reverts for a session that is there."""

    def _grant(self, world: World, data: bytes, at: UnixSeconds) -> list[Log]:
        logs = super()._grant(world, data, at)
        if not logs:
            raise ModuleError("SessionAlreadyGranted", bytes(32), 1)
        return logs


class TakesLateGrants(FakeChain):
    """A grant's deadline does not end it."""

    def _grant(self, world: World, data: bytes, at: UnixSeconds) -> list[Log]:
        *rest, grants = cast("tuple[Any, ...]", OPEN.decode_call(data))
        return super()._grant(world, OPEN.encode_call(*rest, [(*each[:3], 2**48 - 1, each[4]) for each in grants]), at)


class EndsEachSession(FakeChain):
    """All sessions at once are ended one by one, and of every account."""

    def _execute(self, world: World, to: Address, data: bytes, at: UnixSeconds, executed: list[Executed]) -> list[Log]:
        logs = super()._execute(world, to, data, at, executed)
        if data.startswith(b"revoke*"):
            world.sessions = {name: replace(each, state=2) for name, each in world.sessions.items()}
        return logs


class TellsNobodysRevocation(FakeChain):
    """The event of a revocation names no account."""

    def _revoke_by_owner(self, world: World, permission: bytes, emitter: Address) -> list[Log]:
        logs = super()._revoke_by_owner(world, permission, emitter)
        return [replace(log, topics=(log.topics[0], bytes(32), *log.topics[2:])) for log in logs]


class AnswersForGroups(FakeChain):
    """An account that is asked to execute all or nothing says yes, whatever reverts."""

    def _try_execution(self, data: bytes) -> bytes:
        try:
            return super()._try_execution(data)
        except CallReverted as error:
            if error.data:
                return b""
            raise


@dataclass(frozen=True)
class Planted:
    chain: type[FakeChain]
    check: Check

    @property
    def name(self) -> str:
        return self.chain.__name__


NODES: Sequence[Planted] = (
    Planted(Remembers, nodes.TestReorg().test_an_orphaned_block_is_unknown),
    Planted(Forgets, nodes.TestReorg().test_what_was_mined_is_pending_again),
    Planted(TakesAnyFee, lambda node: nodes.TestPool().test_a_replacement_that_pays_no_more(node, 99, 10, 21_000)),
    Planted(CountsBehindGaps, nodes.TestTransactionCount().test_what_is_behind_a_gap_is_not_next),
    Planted(LogsOfFailures, nodes.TestReceipts().test_of_what_reverted),
)
CONTRACTS: Sequence[Planted] = (
    Planted(SaysNoReason, refusals.TestBundler().test_gives_no_more_gas_to_a_session_that_is_refused_by_name),
    Planted(LooksAtNonceFirst, refusals.TestOrder().test_the_session_before_the_nonce),
    Planted(NeverLate, refusals.TestTime().test_after_the_deadline),
    Planted(
        AllowsEverything,
        lambda play: refusals.TestScope().test_of_a_call(
            play, ATTACK, Address(b"\x99" * 20), ATTACK_HINT, "CallNotAllowed"
        ),
    ),
    Planted(ChargesNothing, contracts.TestUsage().test_nonce_and_charges_move_with_the_operation),
    Planted(NamesTheNextCall, contracts.TestBatch().test_a_call_that_reverts_is_named_and_the_others_run),
    Planted(CountsLogsAnew, contracts.TestSomebodyElse().test_of_two_transactions_in_a_block_the_logs_are_counted_on),
    Planted(RefusesAgain, contracts.TestGrant().test_again_changes_nothing),
    Planted(TakesLateGrants, contracts.TestGrant().test_after_its_deadline),
    Planted(EndsEachSession, contracts.TestRevocation().test_of_all_sessions_leaves_other_accounts_and_later_ones),
    Planted(TellsNobodysRevocation, contracts.TestRevocation().test_by_the_account),
    Planted(AnswersForGroups, contracts.TestBatch().test_a_group_that_reverts_is_remembered_when_it_is_asked_about),
)


@pytest.mark.parametrize("planted", NODES, ids=lambda planted: planted.name)
async def test_a_node_that_differs_is_noticed(planted: Planted) -> None:
    for chain, differs in ((FakeChain, False), (planted.chain, True)):
        node: Node = Simulated(chain)
        await node.fund(nodes.KEY.address)
        assert await _fails(planted.check, node) == differs


@pytest.mark.parametrize("planted", CONTRACTS, ids=lambda planted: planted.name)
async def test_contracts_that_differ_are_noticed(planted: Planted, keys: Keys) -> None:
    for chain, differs in ((FakeChain, False), (planted.chain, True)):
        play = Play(Simulated(chain), keys)
        await play.start()
        assert await _fails(planted.check, play) == differs


async def _fails(check: Check, lent: object) -> bool:
    try:
        await check(lent)
    except (AssertionError, pytest.fail.Exception):
        return True
    return False
