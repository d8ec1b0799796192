"""One answer of the node that is false, or that is none: what it must not do. A second node would not say it again."""

from typing import Any

import pytest
from msgspec.structs import replace

from gamekit.accounts.stack import IS_MODULE_INSTALLED
from gamekit.errors import ChainUnavailable
from gamekit.eth.block import Head
from gamekit.eth.entry_point import GET_NONCE
from gamekit.eth.session_validator_abi import SESSION_OF
from gamekit.units import Address, BlockHash, BlockNumber
from tests.runtime.test_resolve import sent
from tests.runtime.test_restored import Copy, finish_slowly
from tests.runtime.test_rewind import played
from tests.runtime.world import World, targets


def lie(world: World, by: int, answers: int = 1) -> None:
    """The node's next answers to getNonce are wrong by so much."""
    call, left = world.chain.call, [answers]

    async def lying(to: Any, data: bytes, **how: Any) -> bytes:
        answer = await call(to, data, **how)
        if data[:4] != GET_NONCE.selector or left[0] <= 0:
            return answer
        left[0] -= 1
        return (int.from_bytes(answer, "big") + by).to_bytes(32, "big")

    world.chain.call = lying  # type: ignore[method-assign]


class TestOfANonce:
    """To getNonce, which nothing proves."""

    @pytest.mark.parametrize("by", [1, 2])
    async def test_at_a_start_frees_nothing_that_may_still_land(self, world: World, by: int) -> None:
        session = await sent(world, "a")
        lie(world, by, answers=2)  # it is asked with the first head, and once more before anything is signed
        await world.restart()
        await world.block(4, empty=True)
        assert world.lane(session).in_flight
        assert not world.lane(session).ready
        await world.quiet()
        assert world.ran() == targets("a")
        await world.check()

    @pytest.mark.parametrize("by", [1, 2])
    async def test_when_a_lane_is_built_does_not_stop_it_for_good(self, world: World, by: int) -> None:
        session = await world.open()
        lie(world, by)
        await world.accepted(session, "a")
        await world.turn()
        assert {operation.sequence for operation in await world.operations()} == {by}
        await world.turn(8, seconds=20)
        assert world.ran() == targets("a")
        await world.accepted(session, "b")
        await world.quiet()
        assert world.ran() == targets("a", "b")
        await world.check()

    async def test_that_contradicts_its_blocks_is_none(self, world: World) -> None:
        """What was signed at a sequence that is used would be another set of actions in one slot."""
        session = await world.open()
        await world.accepted(session, "a")
        await world.quiet()
        await world.restart()
        lie(world, -1)
        with pytest.raises(ChainUnavailable, match="sequence 0 unused"):
            await world.act(session, "b")
        await world.accepted(session, "b")
        lie(world, -1)
        world.lane(session).usage_known = False
        await world.block()
        assert not world.lane(session).usage_known
        await world.quiet()
        assert world.ran() == targets("a", "b")
        await world.check()

    async def test_is_found_out_when_the_entry_point_refuses_the_nonce(self, world: World) -> None:
        session = await world.open()
        lie(world, 1)
        await world.accepted(session, "a")
        await world.sign()
        await world.send()
        (operation,) = await world.operations()
        assert "AA25" in operation.rejected
        await world.block()
        lane = world.lane(session)
        assert (lane.usage_known, lane.chain_sequence, lane.sequence) == (True, 0, 0)

    async def test_is_asked_again_before_anything_is_signed_again(self, world: World) -> None:
        """A lane's sequence that is wrong where no simulation says so: the slot is not kept alive for ever."""
        session = await world.open()
        lie(world, 1)
        await world.accepted(session, "a")
        await world.sign()
        await world.block(8, seconds=20, empty=True)
        assert len(await world.operations()) == 1
        await world.quiet()
        assert world.lane(session).sequence == 1
        await world.check()

    async def test_while_a_slot_is_due_only_delays_it(self, world: World) -> None:
        session = await sent(world, "a")
        world.chain.drop()
        lie(world, 1)
        await world.block(seconds=70, empty=True)
        assert len(await world.operations()) == 1
        await world.block(seconds=1, empty=True)
        assert [operation.sequence for operation in await world.operations()] == [0, 0]
        assert world.lane(session).sequence == 1
        await world.quiet()
        await world.check()


@pytest.mark.parametrize(
    ("selector", "answer"),
    [
        (SESSION_OF.selector, b""),
        (SESSION_OF.selector, b"\xff" * 32 * 7),
        (GET_NONCE.selector, b""),
        (GET_NONCE.selector, (1 << 63).to_bytes(32, "big")),
    ],
)
async def test_an_answer_that_is_none_is_asked_for_again(world: World, selector: bytes, answer: bytes) -> None:
    await sent(world, "a")
    told: list[bytes] = []
    real = world.chain.call

    async def once(to: Address, data: bytes, **how: Any) -> bytes:
        if data[:4] == selector and not told:
            told.append(data)
            return answer
        return bytes(await real(to, data, **how))

    world.chain.call = once  # type: ignore[method-assign]
    await world.restart()
    await world.quiet()
    assert told
    await world.check()


async def test_that_the_module_was_torn_out_ends_no_session(world: World) -> None:
    session = await world.open()
    real: Any = world.chain.call

    async def once(to: Address, data: bytes, **how: Any) -> bytes:
        if data[:4] == IS_MODULE_INSTALLED.selector:
            world.chain.call = real  # type: ignore[method-assign]
            return bytes(32)
        return bytes(await real(to, data, **how))

    world.chain.call = once  # type: ignore[method-assign]
    world.kit.state.doubted.add(session)
    await world.block(2)
    assert world.kit.session_row(session).state == "open"
    assert not world.kit.state.doubted


async def test_a_block_of_another_fork_takes_nothing_back(world: World) -> None:
    """At a start one backend of many shows another block at the height of our last final one."""
    await played(world, "a")
    real = world.chain.block

    async def other(number: BlockNumber) -> Head | None:
        world.chain.block = real  # type: ignore[method-assign]
        head = await real(number)
        return head and replace(head, hash=BlockHash(bytes(32)))

    world.chain.block = other  # type: ignore[method-assign]
    with pytest.raises(ChainUnavailable, match="does not say again"):
        await world.restart()
    await world.restart()
    await world.quiet()
    assert await world.told("a") == ["settled", "final"]
    assert not world.kit.state.pauses


class Forked:
    """A chain that shows an empty block of another fork once, where it is asked for one by its height."""

    def __init__(self, chain: Any) -> None:
        self._chain = chain
        self._other: BlockHash | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)

    async def block(self, number: BlockNumber) -> Head | None:
        found: Head | None = await self._chain.block(number)
        if found is None or self._other is not None:
            return found
        self._other = BlockHash(bytes(32))
        return replace(found, hash=self._other)

    async def receipts(self, head: Head) -> Any:
        return [] if head.hash == self._other else await self._chain.receipts(head)


async def test_a_block_of_another_fork_does_not_make_what_ran_look_lost(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    copy = Copy(world.store)
    await world.turn(3)
    assert world.ran() == targets("a")
    await copy.put_back(world)
    world.kit._restored._chain = Forked(world.chain)
    await finish_slowly(world)
    assert await world.told("a") == ["settled", "final"]
