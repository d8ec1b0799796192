import pytest

from gamekit.errors import CallReverted, ChainUnavailable
from gamekit.eth.block import Log
from gamekit.eth.token import ALLOWANCE, APPROVAL, APPROVAL_FOR_ALL, GET_APPROVED, IS_APPROVED_FOR_ALL, Approval, Unread
from gamekit.runtime.approvals import BLOCKS_MAX, LOGS_MAX, find_approvals
from gamekit.testing.chain import FakeChain
from gamekit.testing.wire import words
from gamekit.units import Address, BlockNumber, Hash32

ACCOUNT, ARENA, BANK, GOLD, ITEM = (Address(bytes([number]) * 20) for number in (0xAC, 0xA4, 0x20, 0x60, 0x17))
HEAD = BlockNumber(20_000)


def chain_of(chain: type[FakeChain] = FakeChain) -> FakeChain:
    return chain(*(Address(bytes([number]) * 20) for number in range(0x40, 0x44)))


def logged(topic: Hash32, token: Address, spender: Address, *more: int) -> Log:
    topics = (topic, *(Hash32(each.rjust(32, b"\0")) for each in (ACCOUNT, spender)), *(Hash32(words(n)) for n in more))
    return Log(token, topics, words(1), 0)


async def find(chain: FakeChain, *tokens: Address) -> tuple[Approval | Unread, ...]:
    return await find_approvals(chain, ACCOUNT, [BANK, ARENA, ARENA], tokens, HEAD)


async def test_nothing_is_let_to_anybody() -> None:
    assert await find(chain_of(), GOLD, ITEM) == ()


async def test_the_tokens_of_the_game_are_asked_about_each_target() -> None:
    chain = chain_of()
    chain.answers[GOLD, ALLOWANCE.encode_call(ACCOUNT, ARENA)] = words(1_000)
    chain.answers[ITEM, IS_APPROVED_FOR_ALL.encode_call(ACCOUNT, BANK)] = words(1)
    assert await find(chain, GOLD, ITEM) == (Approval(GOLD, ARENA, amount=1_000), Approval(ITEM, BANK))


async def test_a_token_that_nobody_named_is_found_by_its_log_and_asked() -> None:
    chain = chain_of()
    chain.strange_logs = [logged(APPROVAL, GOLD, ARENA), logged(APPROVAL_FOR_ALL, ITEM, BANK)]
    assert await find(chain) == (), "what a log says is not believed"
    chain.answers[GOLD, ALLOWANCE.encode_call(ACCOUNT, ARENA)] = words(7)
    chain.answers[ITEM, IS_APPROVED_FOR_ALL.encode_call(ACCOUNT, BANK)] = words(1)
    assert await find(chain) == (Approval(GOLD, ARENA, amount=7), Approval(ITEM, BANK))


async def test_one_item() -> None:
    chain = chain_of()
    chain.strange_logs = [logged(APPROVAL, ITEM, ARENA, 5), logged(APPROVAL, ITEM, ARENA, 6)]
    chain.answers[ITEM, GET_APPROVED.encode_call(5)] = words(int.from_bytes(ARENA, "big"))
    chain.answers[ITEM, GET_APPROVED.encode_call(6)] = words(int.from_bytes(ACCOUNT, "big"))
    assert await find(chain) == (Approval(ITEM, ARENA, item=5),)


async def test_a_log_for_another_spender_is_not_followed() -> None:
    chain = chain_of()
    chain.strange_logs = [logged(APPROVAL, GOLD, GOLD)]
    chain.answers[GOLD, ALLOWANCE.encode_call(ACCOUNT, ARENA)] = words(7)
    assert await find(chain) == ()


class Watched(FakeChain):
    """Says what was asked of its logs."""

    searched: tuple[int, int] = (0, 0)

    async def logs(self, topics: object, first: BlockNumber, most: int) -> tuple[Log, ...]:
        self.searched = first, most
        return ()


async def test_the_search_is_bounded() -> None:
    chain = chain_of(Watched)
    await find(chain)
    assert isinstance(chain, Watched)
    assert chain.searched == (HEAD - BLOCKS_MAX + 1, LOGS_MAX)


class Unsearchable(FakeChain):
    async def logs(self, *_: object, **__: object) -> tuple[Log, ...]:
        raise ChainUnavailable("too many blocks")


async def test_a_node_that_does_not_search_leaves_the_tokens_that_are_named() -> None:
    chain = chain_of(Unsearchable)
    chain.answers[GOLD, ALLOWANCE.encode_call(ACCOUNT, ARENA)] = words(7)
    assert await find(chain, GOLD) == (Approval(GOLD, ARENA, amount=7), Unread())


class Failing(FakeChain):
    error: Exception

    async def call(self, *_: object, **__: object) -> bytes:
        raise self.error


def refused(message: str = "out of gas", code: int = -32000) -> ChainUnavailable:
    error = ChainUnavailable(f"eth_call: {message} ({code})", rpc_code=code)
    error.code = "rpc_refused"  # type: ignore[misc]
    return error


def failing(error: Exception) -> FakeChain:
    chain = chain_of(Failing)
    assert isinstance(chain, Failing)
    chain.error = error
    return chain


@pytest.mark.parametrize(
    "error",
    [
        CallReverted("no", b""),
        refused(),
        refused("EVM error OutOfGas", -32603),
        refused("invalid opcode: INVALID"),
        refused("stack underflow (0 <=> 1)"),
        refused("VM execution error", -32015),
    ],
    ids=str,
)
async def test_a_token_that_fails_has_let_nothing(error: Exception) -> None:
    assert await find(failing(error), GOLD) == ()


@pytest.mark.parametrize(
    "error",
    [
        refused("limit exceeded", -32005),
        refused("Your app has exceeded its compute units per second capacity", 429),
        refused("header not found"),
        ChainUnavailable("HTTP 429", status=429),
    ],
    ids=str,
)
async def test_a_node_that_throttles_has_not_said_that_nothing_is_let(error: Exception) -> None:
    assert await find(failing(error), GOLD, ITEM) == (Unread(GOLD), Unread(ITEM))


async def test_an_item_that_cannot_be_asked_for() -> None:
    chain = failing(refused("limit exceeded", -32005))
    chain.strange_logs = [logged(APPROVAL, ITEM, ARENA, 5)]
    assert await find(chain) == (Unread(ITEM),)


class Half(FakeChain):
    """Answers about allowances only."""

    async def call(self, to: Address, data: bytes, **_: object) -> bytes:
        if data[:4] != ALLOWANCE.selector:
            raise refused("limit exceeded", -32005)
        return words(9)


async def test_what_was_read_before_the_node_throttled_is_said() -> None:
    found = await find(chain_of(Half), GOLD)
    assert found == (Approval(GOLD, BANK, amount=9), Approval(GOLD, ARENA, amount=9), Unread(GOLD))


@pytest.mark.parametrize("error", [ChainUnavailable("no answer"), ChainUnavailable("HTTP 502", status=502)], ids=str)
async def test_a_node_that_does_not_answer_is_no_answer(error: Exception) -> None:
    with pytest.raises(ChainUnavailable):
        await find(failing(error), GOLD)
