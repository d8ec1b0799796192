"""What the contracts promise the runtime, on the simulated chain and on anvil: the real kit, driven by hand, on both.

Not compared, since the simulated chain models it not: how much gas is used and paid, what a scope says of arguments,
what the game itself logs.
"""

import pytest
from msgspec.structs import replace

from gamekit.accounts.reference import FAILED_CALL
from gamekit.core.session import Session
from gamekit.core.tracking import Operation
from gamekit.core.withdrawal import Withdrawal
from gamekit.errors import ConfigInvalid, OperationRejected
from gamekit.eth.calldata import Call
from gamekit.eth.session_opener import OPEN
from gamekit.eth.session_validator_abi import AccountRecord, SessionState
from gamekit.testing.scenery import ARENA, NO_STAMINA
from gamekit.units import ZERO_ADDRESS, Address, Cursor, Hash32, UserOpHash, Wei
from tests.accounts.world import Key
from tests.testing.twin_play import ADA, STRANGER, Play, Refused, Told
from tests.testing.twins import ATTACK, DEVOURS

WEAK = (False, "NoStamina(strength=500, stamina=100)")
NO_GAS = (False, "out_of_gas_or_empty_revert")
OK = (True, "")


class TestGrant:
    async def test_of_a_newcomer(self, play: Play) -> None:
        """The account comes into being, installs the module, whose epoch begins, and grants."""
        row, signature = await play.propose()
        nobody = await play.account(row.account)
        assert (nobody.installed, nobody.epoch) == (False, 0)
        assert (await play.record(row)).state is SessionState.NONE
        await play.kit.open(row.permission_id, signature)
        await play.block()
        scope = play.kit._grant._scope(row)
        granted = (row.account, row.permission_id, scope.signer, scope.revoker, row.valid_after, row.valid_until, 1)
        assert await play.told() == [
            Told("module", "AllSessionsRevoked", (row.account, 1)),
            Told("module", "SessionGranted", (*granted, row.scope)),
        ]
        assert await play.account(row.account) == AccountRecord(True, 1, play.contracts.owner_validator)
        found = await play.record(row)
        assert (found.state, found.epoch, found.uses, found.gas_spent_wei) == (SessionState.LIVE, 1, 0, 0)
        assert play.kit.session_row(row.permission_id).state == "open"

    async def test_of_a_second_session(self, play: Play) -> None:
        """On a lane of its own; the epoch stays."""
        first = await play.open()
        second = await play.open()
        assert [each.name for each in await play.told()] == ["SessionGranted"]
        assert (second.account, second.key) == (first.account, first.key + 1)
        assert (await play.record(first)).state is SessionState.LIVE

    async def test_again_changes_nothing(self, play: Play) -> None:
        """The opener leaves what is there: whoever was overtaken is not told."""
        row = await play.open()
        again = await play.submit(play.contracts.session_opener, row.grant_data)
        assert (again.succeeded, again.logs) == (True, ())

    @pytest.mark.parametrize("granted", [True, False])
    async def test_after_the_revocation(self, play: Play, granted: bool) -> None:
        """A permission that was revoked comes never back, granted before or not."""
        row, signature = await play.propose()
        if granted:
            await play.kit.open(row.permission_id, signature)
            await play.block()
        else:
            await play.submit(*await opening(play, await play.propose()))  # There must be an account.
        data = (await opening(play, (row, signature)))[1]
        await play.twin.revoke(row.account, row.permission_id)
        await play.block()
        assert (await play.record(row)).state is SessionState.REVOKED
        found = await play.refusal_of(play.contracts.session_opener, data)
        assert found == Refused("", "SessionAlreadyGranted")
        assert not (await play.submit(play.contracts.session_opener, data)).succeeded

    async def test_after_its_deadline(self, play: Play) -> None:
        to, data = await opening(play, await play.propose())
        assert await play.refusal_of(to, data) is None
        await play.block(seconds=play.kit.config.sessions.grant_deadline_s + 10)
        assert await play.refusal_of(to, data) == Refused("", "GrantExpired")

    async def test_without_the_owners_signature(self, play: Play) -> None:
        """By design different: the simulated chain takes any signature but one that says that it is refused."""
        row, _ = await play.propose()
        forged = STRANGER.sign(Hash32(row.permission_id))
        expected = Refused("", "GrantSignatureInvalid") if play.twin.checks_owners else None
        assert await play.refusal_of(*await opening(play, (row, forged))) == expected
        assert await play.refusal_of(*await opening(play, (row, b"refused"))) == Refused("", "GrantSignatureInvalid")
        with pytest.raises(ConfigInvalid, match=r"the account refuses the grant: GrantSignatureInvalid\("):
            await play.kit.open(row.permission_id, b"refused")

    async def test_that_a_reorg_takes_out(self, play: Play) -> None:
        """Session, epoch and account record are gone together."""
        row = await play.open()
        await play.twin.reorg(1)
        assert (await play.record(row)).state is SessionState.NONE
        assert not (await play.account(row.account)).installed
        await play.kit._settle.step()
        await play.block(2)
        assert (await play.record(row)).state is SessionState.LIVE
        assert play.kit.session_row(row.permission_id).state == "open"


async def opening(play: Play, proposed: tuple[Session, bytes]) -> tuple[Address, bytes]:
    """Where the transaction goes that grants, and its calldata."""
    row, signature = proposed
    data = await play.kit._grant._opening(row, signature)
    assert data[:4] == OPEN.selector
    return play.contracts.session_opener, data


class TestBatch:
    async def test_settles_with_an_outcome_for_each_call(self, play: Play) -> None:
        session = await play.open()
        await play.accept(session, 10, 20, 30)
        await play.turn()
        assert await play.settled() == [[OK, OK, OK]]
        (op,) = await play.kit.store.select(Operation)
        assert op.succeeded
        closing = (op.user_op_hash, session.account, ZERO_ADDRESS, op.nonce, True)
        assert await play.told() == [
            Told("entry point", "BeforeExecution"),
            Told("entry point", "UserOperationEvent", closing),
        ]
        assert op.actual_gas_cost > 0
        assert op.actual_gas_used > 0

    async def test_a_call_that_reverts_is_named_and_the_others_run(self, play: Play) -> None:
        session = await play.open()
        await play.accept(session, 10, 500, 20, 500)
        await play.turn()
        assert await play.settled() == [[OK, WEAK, OK, WEAK]]
        account, error = "account " + session.account.hex(), NO_STAMINA.encode(500, 100)
        assert [each for each in await play.told() if each.by == account] == [
            Told(account, "ERC7579TryExecuteFail", (1, error)),
            Told(account, "ERC7579TryExecuteFail", (3, error)),
        ]
        assert (await play.operation_logs()).event.success

    async def test_a_single_call_that_reverts(self, play: Play) -> None:
        session = await play.open()
        await play.accept(session, 500)
        await play.turn()
        assert await play.settled() == [[WEAK]]
        found = await play.operation_logs()
        assert (found.event.success, found.revert_reason) == (True, b"")

    async def test_a_group_in_which_one_reverts_is_undone_with_its_reason(self, play: Play) -> None:
        session = await play.open()
        await play.accept(session, 10, 500, group="both")
        await play.turn()
        assert await play.settled() == [[WEAK, WEAK]]
        error = NO_STAMINA.encode(500, 100)
        (op,) = await play.kit.store.select(Operation)
        assert await play.told() == [
            Told("entry point", "BeforeExecution"),
            Told("entry point", "UserOperationRevertReason", (op.user_op_hash, session.account, op.nonce, error)),
            Told(
                "entry point", "UserOperationEvent", (op.user_op_hash, session.account, ZERO_ADDRESS, op.nonce, False)
            ),
        ]
        found = await play.operation_logs()
        assert (found.event.success, found.revert_reason, found.logs[1:]) == (False, error, ())

    async def test_one_without_gas_is_undone_as_a_whole_without_a_reason(self, play: Play) -> None:
        session = await play.open()
        await play.accept(session, 10, DEVOURS, DEVOURS, 20)
        await play.turn()
        assert await play.settled() == [[NO_GAS] * 4]
        assert [each.name for each in await play.told()] == ["BeforeExecution", "UserOperationEvent"]
        found = await play.operation_logs()
        assert (found.event.success, found.revert_reason, found.logs) == (False, b"", ())
        assert await play.sequence(session) == 1

    async def test_what_a_call_that_burns_its_gas_leaves_to_the_others(self, play: Play) -> None:
        """By design different: on the simulated chain nothing, on a real one a 64th, which may do for the last call."""
        session = await play.open()
        await play.accept(session, 10, 20, 30, DEVOURS)
        await play.turn()
        spared = [OK, OK, OK, NO_GAS]
        assert await play.settled() == [spared if play.twin.leaves_gas else [NO_GAS] * 4]

    async def test_a_group_without_gas_is_undone_with_the_accounts_own_error(self, play: Play) -> None:
        """Which says no more than that a call failed without a word, and so is no reason to a player."""
        session = await play.open()
        await play.accept(session, 10, DEVOURS, group="both")
        await play.turn()
        assert await play.settled() == [[NO_GAS, NO_GAS]]
        assert (await play.operation_logs()).revert_reason == FAILED_CALL

    async def test_of_a_group_the_first_that_fails_says_why(self, play: Play) -> None:
        session = await play.open()
        await play.accept(session, 10, 500, DEVOURS, group="all")
        await play.turn()
        assert await play.settled() == [[WEAK] * 3]

    async def test_after_one_without_gas_the_next_is_asked_about_and_halved(self, play: Play) -> None:
        """So what the account answers to the same calldata when it is only asked decides how players fare."""
        session = await play.open()
        await play.accept(session, DEVOURS, DEVOURS)
        await play.turn()
        await play.accept(session, 10, 20, DEVOURS, DEVOURS)
        await play.turn(4)
        assert await play.settled() == [[NO_GAS] * 2, [OK, OK], [NO_GAS], [NO_GAS]]

    async def test_what_reverts_by_itself_harms_nothing_when_it_is_asked_about(self, play: Play) -> None:
        session = await play.open()
        await play.accept(session, DEVOURS, DEVOURS)
        await play.turn()
        await play.accept(session, 10, 500, 20)
        await play.turn()
        assert await play.settled() == [[NO_GAS] * 2, [OK, WEAK, OK]]
        lane = await play.lane(session)
        assert (lane.watched, len(lane.poisons)) == (7, 0)

    async def test_a_group_that_reverts_is_remembered_when_it_is_asked_about(self, play: Play) -> None:
        session = await play.open()
        await play.accept(session, DEVOURS, DEVOURS)
        await play.turn()
        watched = (await play.lane(session)).watched
        await play.accept(session, 500, group="alone")
        await play.turn()
        assert (await play.settled())[1:] == [[WEAK]]
        assert (await play.lane(session)).watched == watched


class TestUsage:
    async def test_nonce_and_charges_move_with_the_operation(self, play: Play) -> None:
        session = await play.open()
        before = await play.twin.reader.head()
        await play.accept(session, 10, 500, 20)
        await play.turn()
        (op,) = await play.kit.store.select(Operation)
        scope = play.kit._grant._scope(session)
        assert scope.rate is not None
        found = await play.record(session)
        assert (found.state, found.epoch, found.uses) == (SessionState.LIVE, 1, 3)
        assert found.arrival_ms == op.claimed_at * 1000 + 3 * scope.rate.interval_ms
        assert found.gas_spent_wei == op.max_cost
        assert (found.lane0, found.lane1) == (0, 0)
        assert (await play.sequence(session, before.hash), await play.sequence(session)) == (0, 1)
        assert (await play.record(session, before.hash)).uses == 0
        assert (await play.lane(session)).usage == await play.kit._resolve.chain_usage(session, play.kit.state.head)

    async def test_is_charged_too_when_it_is_undone(self, play: Play) -> None:
        session = await play.open()
        await play.accept(session, DEVOURS, DEVOURS)
        await play.turn()
        assert ((await play.record(session)).uses, await play.sequence(session)) == (2, 1)

    async def test_is_taken_back_by_a_reorg(self, play: Play) -> None:
        session = await play.open()
        await play.block()
        await play.accept(session, 10)
        await play.turn()
        await play.twin.reorg(1)
        assert ((await play.record(session)).uses, await play.sequence(session)) == (0, 0)
        await play.kit._settle.step()
        await play.block(2)
        assert ((await play.record(session)).uses, await play.sequence(session)) == (1, 1)
        kinds = [each.kind for each in await play.kit.events_since(Cursor(0))]
        assert [kind for kind in kinds if kind in ("settled", "reorged")] == ["settled", "reorged", "settled"]


class TestSomebodyElse:
    async def test_bundles_an_operation_of_ours(self, play: Play) -> None:
        """It counts as included, whoever carries it; and a second time nobody can."""
        session = await play.open()
        await play.accept(session, 10, 500)
        await play.sign()
        theirs = play.queued()
        receipt = await play.submit(play.entry_point, play.bundle(theirs))
        assert (receipt.succeeded, receipt.sender, receipt.to) == (True, STRANGER.address, play.entry_point)
        assert await play.settled() == [[OK, WEAK]]
        assert await play.refusal(theirs) == Refused("AA25")
        again = await play.submit(play.entry_point, play.bundle(theirs))
        assert (again.succeeded, again.logs) == (False, ())
        await play.turn(2)
        assert await play.settled() == [[OK, WEAK]]
        assert await play.sequence(session) == 1

    async def test_uses_our_lane(self, play: Play) -> None:
        """An operation that the session key signed, and that the journal does not know, takes the slot."""
        session = await play.open()
        op = await play.operation(session, 10)
        assert await play.refusal(op) is None
        assert (await play.submit(play.entry_point, play.bundle(op))).succeeded
        await play.accept(session, 20)
        await play.turn(4)
        assert await play.settled() == [[OK]]
        assert await play.sequence(session) == 2

    async def test_bundles_several_in_one_transaction(self, play: Play) -> None:
        """Each log stands at its place in the block, and between the operations as the runtime splits them."""
        first, second = await play.open(), await play.open()
        operations = [await play.operation(first, 500), await play.operation(second, 10, 500, try_mode=False)]
        receipt = await play.submit(play.entry_point, play.bundle(*operations))
        indexes = [log.index for log in receipt.logs]
        assert indexes == list(range(len(indexes)))
        senders = [each.values[-1] for each in await play.told() if each.name == "UserOperationEvent"]
        assert senders == [True, False]

    async def test_of_two_transactions_in_a_block_the_logs_are_counted_on(self, play: Play) -> None:
        first, second = await play.open(), await play.open()
        await play.accept(first, 500)
        await play.sign()
        await play.kit._bundler.send_queued()
        await play.submit(play.entry_point, play.bundle(await play.operation(second, 500)))
        logs = [log for receipt in await play.receipts() for log in receipt.logs]
        assert len(await play.receipts()) == 2
        assert [log.index for log in logs] == list(range(len(logs)))


class TestRevocation:
    async def test_by_the_session_keys_own_signature(self, play: Play) -> None:
        session = await play.open()
        op = await play.operation(session, 10)
        await play.kit.revoke(session.permission_id)
        await play.block()
        assert await play.told() == [Told("module", "SessionRevoked", (session.account, session.permission_id))]
        assert (await play.record(session)).state is SessionState.REVOKED
        assert await play.refusal(op) == Refused("AA23", "SessionNotLive")
        row = play.kit.session_row(session.permission_id)
        assert row.state == "revoked"
        assert await play.refusal_of(play.module, row.revoke_data) == Refused("", "SessionNotLive")

    async def test_with_another_keys_signature(self, play: Play) -> None:
        first, second = await play.open(), await play.open()
        forged = play.kit._revoke._with_revocation(replace(second, sealed=first.sealed, binding=first.binding))
        assert await play.refusal_of(play.module, forged.revoke_data) == Refused("", "RevokeSignatureInvalid")

    async def test_by_the_account(self, play: Play) -> None:
        first, second = await play.open(), await play.open()
        await play.twin.revoke(first.account, first.permission_id)
        await play.block()
        assert await play.told() == [Told("module", "SessionRevoked", (first.account, first.permission_id))]
        states = [play.kit.session_row(each.permission_id).state for each in (first, second)]
        assert states == ["revoked", "open"]
        assert (await play.record(second)).state is SessionState.LIVE

    async def test_of_all_sessions_by_the_accounts_epoch(self, play: Play) -> None:
        """No session's own record changes: it is of an older epoch than the account's."""
        first, second = await play.open(), await play.open()
        op = await play.operation(first, 10)
        await play.twin.revoke_all(first.account)
        await play.block()
        assert await play.told() == [Told("module", "AllSessionsRevoked", (first.account, 2))]
        assert (await play.account(first.account)).epoch == 2
        found = await play.record(first)
        assert (found.state, found.epoch) == (SessionState.LIVE, 1)
        assert await play.refusal(op) == Refused("AA23", "EpochStale")
        states = [play.kit.session_row(each.permission_id).state for each in (first, second)]
        assert states == ["revoked", "revoked"]

    async def test_of_all_sessions_leaves_other_accounts_and_later_ones(self, play: Play) -> None:
        first = await play.open()
        play.owner = STRANGER
        others = await play.open()
        await play.twin.revoke_all(first.account)
        await play.block()
        assert await play.refusal(await play.operation(others, 10)) is None
        assert play.kit.session_row(others.permission_id).state == "open"
        play.owner = Key(0xA11CE)
        later = await play.open()
        assert (await play.record(later)).epoch == 2
        assert await play.refusal(await play.operation(later, 10)) is None
        assert later.epoch == 2


class TestWithdrawal:
    """An operation that the owner's wallet signs: other key, other lane, other relayer."""

    async def test_of_value(self, play: Play) -> None:
        session = await play.open()
        hashed, lane = await prepared(play, session, Call(STRANGER.address, Wei(5), b""))
        await play.kit.submit_withdrawal(hashed, play.twin.approve(play.owner, hashed))
        await play.block()
        assert await play.told() == [
            Told("entry point", "BeforeExecution"),
            Told("entry point", "UserOperationEvent", (hashed, session.account, ZERO_ADDRESS, lane, True)),
        ]
        assert (await row_of(play, hashed)).state == "included"
        await play.block(2)
        assert (await row_of(play, hashed)).state == "final"
        assert (await prepared(play, session, Call(STRANGER.address, Wei(5), b"")))[1] == lane + 1
        assert await play.sequence(session) == 0

    async def test_that_reverts(self, play: Play) -> None:
        session = await play.open()
        weak = Call(ARENA, Wei(0), ATTACK.encode_call(7, 500))
        hashed, _ = await prepared(play, session, weak)
        await play.kit.submit_withdrawal(hashed, play.twin.approve(play.owner, hashed))
        await play.block()
        found = await play.operation_logs()
        assert (found.event.success, found.revert_reason) == (False, NO_STAMINA.encode(500, 100))
        row = await row_of(play, hashed)
        assert (row.state, row.succeeded) == ("included", False)

    async def test_that_the_owner_did_not_sign(self, play: Play) -> None:
        """Neither a stranger nor the session key speaks for the owner."""
        session = await play.open()
        hashed, _ = await prepared(play, session, Call(STRANGER.address, Wei(5), b""))
        session_key = play.kit._ports.signer.sign(session, Hash32(hashed))
        for signature in (STRANGER.sign(Hash32(hashed)), session_key):
            with pytest.raises(OperationRejected, match="AA24"):
                await play.kit.submit_withdrawal(hashed, signature)
        row = await play.kit.submit_withdrawal(hashed, play.twin.approve(play.owner, hashed))
        assert row.state == "signed"

    async def test_whose_nonce_another_has_used(self, play: Play) -> None:
        session = await play.open()
        first, _ = await prepared(play, session, Call(STRANGER.address, Wei(5), b""))
        second, _ = await prepared(play, session, Call(STRANGER.address, Wei(6), b""))
        await play.kit.submit_withdrawal(first, play.twin.approve(play.owner, first))
        await play.block()
        with pytest.raises(OperationRejected, match="AA25"):
            await play.kit.submit_withdrawal(second, play.twin.approve(play.owner, second))


async def prepared(play: Play, session: Session, call: Call) -> tuple[UserOpHash, int]:
    """A withdrawal that waits for the owner: its hash, and its nonce."""
    request = await play.kit.prepare_withdrawal(ADA, session.account, call)
    return request.user_op_hash, (await row_of(play, request.user_op_hash)).nonce


async def row_of(play: Play, hashed: UserOpHash) -> Withdrawal:
    row = await play.store.get(Withdrawal, hashed)
    assert row is not None
    return row
