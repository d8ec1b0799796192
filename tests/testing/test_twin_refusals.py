"""Why the EntryPoint refuses an operation, on the simulated chain and on anvil: the same code, the same inner error.

The runtime decides by both: by AA23 and AA24 whether it doubts a session, by an AA23 that says nothing whether
validation wants more gas, by AA25 whether there is anything to tell.
"""

import pytest
from msgspec.structs import replace

from gamekit.core.tracking import Operation
from gamekit.eth.interface import Function
from gamekit.eth.user_operation import UserOperation
from gamekit.testing.scenery import ARENA, Keys
from gamekit.units import Address, Gas, Hash32, Wei
from tests.testing.twin_play import ATTACK_HINT, MOVE_HINT, STRANGER, Play, Refused, forged
from tests.testing.twins import ATTACK, MOVE, Twin

CRAFT = Function.parse("craft(uint256 recipe,uint256 amount)")
ELSEWHERE = Address(b"\x99" * 20)
COST_GAS = 460_000
"""About what an operation of one call has as gas limits."""


async def started(twin: Twin, keys: Keys, **unit: int) -> Play:
    play = Play(twin, keys, **unit)
    await play.start()
    return play


class TestNonce:
    @pytest.mark.parametrize("sequence", [1, 7, 2**64 - 1])
    async def test_that_is_not_the_next(self, play: Play, sequence: int) -> None:
        session = await play.open()
        op = await play.operation(session, 10, sequence=sequence)
        assert await play.refusal(op) == Refused("AA25")

    async def test_that_is_consumed(self, play: Play) -> None:
        session = await play.open()
        op = await play.operation(session, 10)
        assert await play.refusal(op) is None
        await play.submit(play.entry_point, play.bundle(op))
        assert await play.refusal(op) == Refused("AA25")

    async def test_of_another_session_of_the_account(self, play: Play) -> None:
        """The module looks at the key before the EntryPoint looks at the sequence."""
        first, second = await play.open(), await play.open()
        op = replace(await play.operation(first, 10), nonce=second.key << 64)
        assert await play.refusal(op) == Refused("AA23", "NonceKeyMismatch")


class TestSignature:
    async def test_of_another_session(self, play: Play) -> None:
        first, second = await play.open(), await play.open()
        assert await play.refusal(await play.operation(first, 10, key=second)) == Refused("AA24")

    async def test_of_something_else(self, play: Play) -> None:
        op = await play.operation(await play.open(), 10)
        assert await play.refusal(forged(op, bytes(65))) == Refused("AA24")
        assert await play.refusal(forged(op, b"\xff" * 65)) == Refused("AA24")
        assert await play.refusal(replace(op, call_gas_limit=Gas(1_000_000))) == Refused("AA24")

    async def test_whose_scope_is_not_whole(self, play: Play) -> None:
        op = await play.operation(await play.open(), 10)
        assert await play.refusal(replace(op, signature=op.signature[:-1])) == Refused("AA23", "SessionNotLive")
        other = op.signature[:-1] + bytes((op.signature[-1] ^ 1,))
        assert await play.refusal(replace(op, signature=other)) == Refused("AA23", "SessionNotLive")


class TestTime:
    async def test_after_the_deadline(self, play: Play) -> None:
        op = await play.operation(await play.open(), 10)
        await play.block(seconds=play.kit.config.batch.deadline_s + 10)
        assert await play.refusal(op) == Refused("AA22")
        receipt = await play.submit(play.entry_point, play.bundle(op))
        assert (receipt.succeeded, receipt.logs) == (False, ())

    @pytest.mark.parametrize(
        ("late", "asked", "mined"), [(-2, True, True), (-1, True, False), (0, True, False), (1, False, False)]
    )
    async def test_around_the_deadline(self, play: Play, late: int, asked: bool, mined: bool) -> None:
        """Who asks is answered by the head's time, and what is sent lands two seconds later: too late, it may be."""
        op = await play.operation(await play.open(), 10)
        head = await play.twin.reader.head()
        deadline = head.timestamp - 1 + play.kit.config.batch.deadline_s
        await play.block(seconds=deadline + late - head.timestamp)
        assert await play.refusal(op) == (None if asked else Refused("AA22"))
        assert (await play.submit(play.entry_point, play.bundle(op))).succeeded == mined

    async def test_before_it_is_due(self, play: Play) -> None:
        op = await play.operation(await play.open(), 10, ahead=60)
        assert await play.refusal(op) == Refused("AA22")
        await play.block(seconds=70)
        assert await play.refusal(op) is None

    async def test_after_the_sessions_end(self, play: Play) -> None:
        session = await play.open()
        op = await play.operation(session, 10, ahead=session.valid_until - play.kit.state.head.timestamp + 60)
        assert await play.refusal(op) == Refused("AA23", "TimeRangeEmpty")


class TestLimits:
    async def test_of_one_operations_gas(self, twin: Twin, keys: Keys) -> None:
        play = await started(twin, keys, gas_per_operation_wei_max=10**15)
        session = await play.open()
        assert await play.refusal(await play.operation(session, 10, fee=10**9)) is None
        dear = await play.operation(session, 10, fee=10**10)
        assert await play.refusal(dear) == Refused("AA23", "GasPerOperationExceeded")

    async def test_of_all_gas(self, twin: Twin, keys: Keys) -> None:
        limits = {"gas_budget_wei": 10**15, "gas_per_operation_wei_max": 10**15}
        play = await started(twin, keys, **limits)
        session = await play.open()
        first = await play.operation(session, 10, fee=10**15 // COST_GAS * 7 // 10)
        assert (await play.submit(play.entry_point, play.bundle(first))).succeeded
        second = await play.operation(session, 10, fee=10**15 // COST_GAS * 7 // 10)
        assert await play.refusal(second) == Refused("AA23", "GasBudgetExceeded")

    async def test_of_calls_in_all(self, twin: Twin, keys: Keys) -> None:
        play = await started(twin, keys, uses_max=4)
        session = await play.open()
        await play.submit(play.entry_point, play.bundle(await play.operation(session, 10, 500, 20)))
        assert await play.refusal(await play.operation(session, 10)) is None
        assert await play.refusal(await play.operation(session, 10, 20)) == Refused("AA23", "UsesExceeded")

    async def test_of_calls_in_one_operation(self, play: Play) -> None:
        session = await play.open()
        assert await play.refusal(await play.operation(session, *[10] * 8)) is None
        assert await play.refusal(await play.operation(session, *[10] * 9)) == Refused("AA23", "CallsOutOfRange")

    async def test_of_the_pace(self, twin: Twin, keys: Keys) -> None:
        play = await started(twin, keys, rate_per_s=1, burst=8)
        session = await play.open()
        await play.submit(play.entry_point, play.bundle(await play.operation(session, *[10] * 8)))
        op = await play.operation(session, *[10] * 8)
        assert await play.refusal(op) == Refused("AA23", "RateExceeded")
        await play.block(seconds=10)
        assert await play.refusal(await play.operation(session, *[10] * 8)) is None

    async def test_of_the_accounts_money(self, play: Play) -> None:
        session = await play.open()
        await play.twin.fund(session.account, Wei(0))
        op = await play.operation(session, 10)
        assert await play.refusal(op) == Refused("AA21")
        await play.twin.fund(session.account)
        assert await play.refusal(op) is None


class TestScope:
    @pytest.mark.parametrize(
        ("call", "target", "hint", "expected"),
        [
            pytest.param(ATTACK, ELSEWHERE, ATTACK_HINT, "CallNotAllowed", id="another contract"),
            pytest.param(CRAFT, ARENA, ATTACK_HINT, "CallNotAllowed", id="another function"),
            pytest.param(ATTACK, ARENA, MOVE_HINT, "CallNotAllowed", id="another entry"),
            pytest.param(ATTACK, ARENA, 2, "HintOutOfRange", id="no entry"),
            pytest.param(MOVE, ARENA, MOVE_HINT, None, id="allowed"),
        ],
    )
    async def test_of_a_call(
        self, play: Play, call: Function, target: Address, hint: int, expected: str | None
    ) -> None:
        op = await play.operation(await play.open(), 10, call=call, target=target, hint=hint)
        assert await play.refusal(op) == (expected and Refused("AA23", expected))

    async def test_with_a_paymaster_that_it_does_not_name(self, play: Play) -> None:
        op = replace(await play.operation(await play.open(), 10), paymaster=ELSEWHERE)
        op = replace(op, paymaster_verification_gas_limit=Gas(1), paymaster_data=b"\x01")
        assert await play.refusal(op) == Refused("AA23", "PaymasterMismatch")

    async def test_with_another_function_of_the_account(self, play: Play) -> None:
        op = await play.operation(await play.open(), 10)
        assert await play.refusal(replace(op, call_data=b"\x01\x02\x03\x04" + op.call_data[4:])) == Refused(
            "AA23", "SelectorNotExecute"
        )


class TestOrder:
    """Of several reasons the chain names one, and always the same."""

    async def test_the_session_before_the_nonce(self, play: Play) -> None:
        session = await play.open()
        op = await play.operation(session, 10, sequence=5)
        await play.twin.revoke(session.account, session.permission_id)
        await play.block()
        assert await play.refusal(op) == Refused("AA23", "SessionNotLive")

    async def test_the_money_before_the_nonce(self, play: Play) -> None:
        session = await play.open()
        await play.twin.fund(session.account, Wei(0))
        assert await play.refusal(await play.operation(session, 10, sequence=5)) == Refused("AA21")

    async def test_the_nonce_before_the_signature(self, play: Play) -> None:
        op = await play.operation(await play.open(), 10, sequence=5)
        assert await play.refusal(forged(op, STRANGER.sign(Hash32(bytes(32))))) == Refused("AA25")

    async def test_the_signature_before_the_time(self, play: Play) -> None:
        op = await play.operation(await play.open(), 10)
        await play.block(seconds=200)
        assert await play.refusal(forged(op, bytes(65))) == Refused("AA24")

    async def test_the_limits_before_the_scope(self, play: Play) -> None:
        op = await play.operation(await play.open(), *[10] * 9, target=ELSEWHERE)
        assert await play.refusal(op) == Refused("AA23", "CallsOutOfRange")


class TestBundle:
    async def test_the_one_that_fails_is_named_by_its_place(self, play: Play) -> None:
        first, second = await play.open(), await play.open()
        good, bad = await play.operation(first, 10), await play.operation(second, 10, sequence=5)
        assert await play.refusal(good, bad) == Refused("AA25 at 1")
        assert await play.refusal(bad, good) == Refused("AA25")

    async def test_one_that_fails_undoes_all(self, play: Play) -> None:
        first, second = await play.open(), await play.open()
        good, bad = await play.operation(first, 10), await play.operation(second, 10, sequence=5)
        receipt = await play.submit(play.entry_point, play.bundle(good, bad))
        assert (receipt.succeeded, receipt.logs) == (False, ())
        assert (await play.sequence(first), (await play.record(first)).uses) == (0, 0)

    async def test_two_of_one_lane_in_their_order(self, play: Play) -> None:
        session = await play.open()
        operations = [await play.operation(session, 10, sequence=place) for place in range(2)]
        assert await play.refusal(*operations) is None
        assert await play.refusal(*reversed(operations)) == Refused("AA25")
        await play.submit(play.entry_point, play.bundle(*operations))
        assert ((await play.record(session)).uses, await play.sequence(session)) == (2, 2)


class TestBundler:
    """What the runtime makes of it."""

    async def rejected(self, play: Play) -> list[str]:
        found = await play.store.select(Operation)
        return [each.rejected for each in found]

    async def test_takes_out_who_cannot_pay(self, play: Play) -> None:
        rich = await play.open()
        play.owner = STRANGER
        poor = await play.open()
        await play.twin.fund(poor.account, Wei(0))
        await play.accept(poor, 10)
        await play.accept(rich, 20)
        await play.turn()
        assert await play.settled() == [[(True, "")]]
        assert sorted(reason[:4] for reason in await self.rejected(play)) == ["", "AA21"]
        assert (await play.sequence(rich), await play.sequence(poor)) == (1, 0)

    async def test_gives_no_more_gas_to_a_session_that_is_refused_by_name(self, play: Play) -> None:
        session = await play.open()
        await play.accept(session, 10)
        await play.sign()
        await play.twin.revoke(session.account, session.permission_id)
        await play.twin.mine()
        await play.kit._bundler.send_queued()
        (reason,) = await self.rejected(play)
        assert reason.startswith("AA23")
        (live,) = {id(each): each for each in play.kit.state.slots_by_operation.values()}.values()
        assert (live.gas_percent, play.kit.state.doubted) == (100, {session.permission_id})

    async def test_tells_nobody_that_an_operation_landed_meanwhile(self, play: Play) -> None:
        session = await play.open()
        await play.accept(session, 10)
        await play.sign()
        theirs = play.queued()
        await _unread(play, theirs)
        await play.kit._bundler.send_queued()
        (reason,) = await self.rejected(play)
        assert reason.startswith("AA25")
        assert await play.kit.events_since(play.kit.cursor) == []
        assert not play.kit.state.doubted


async def _unread(play: Play, op: UserOperation) -> None:
    """Let a stranger land an operation in a block that the runtime has not read."""
    step, play.kit._settle.step = play.kit._settle.step, _nothing  # type: ignore[method-assign]
    await play.submit(play.entry_point, play.bundle(op))
    play.kit._settle.step = step  # type: ignore[method-assign]


async def _nothing() -> bool:
    return False
