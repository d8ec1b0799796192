"""What the simulated chain does by itself: the pool's rules, reorgs of each kind, nodes that are behind or lie."""

from collections.abc import Callable

import pytest

from gamekit.errors import ChainUnavailable, FeeTooLow, SubmitError
from gamekit.eth.hashing import keccak256
from gamekit.testing.chain import TRANSACTION_GAS_MAX, FakeChain
from gamekit.testing.scenery import ENTRY_POINT, MODULE, OPENER, OWNER_VALIDATOR
from gamekit.testing.wire import DecodedTransaction
from gamekit.units import Address, Hash32

SENDER = Address(b"\x77" * 20)
Send = Callable[..., DecodedTransaction]


@pytest.fixture
def chain() -> FakeChain:
    chain = FakeChain(ENTRY_POINT, MODULE, OPENER, OWNER_VALIDATOR)
    chain.mine(3)
    return chain


@pytest.fixture
def send(chain: FakeChain) -> Send:
    def send(nonce: int = 0, fee: int = 10**12, tip: int = 10**12, gas: int = 21_000) -> DecodedTransaction:
        seed = b"".join(number.to_bytes(16, "big") for number in (nonce, fee, tip))
        transaction = DecodedTransaction(Hash32(keccak256(seed)), SENDER, nonce, SENDER, b"", fee, tip, b"", gas)
        chain._pool(transaction)
        return transaction

    return send


def mined(chain: FakeChain) -> list[Hash32]:
    return [tx.hash for block in chain.blocks for tx in block.transactions]


def test_pool_default_mines_what_it_took(chain: FakeChain, send: Send) -> None:
    transaction = send()
    chain.mine()
    assert mined(chain) == [transaction.hash]


@pytest.mark.parametrize(("fee", "tip"), [(109, 110), (110, 109), (110, 100)])
def test_pool_error_replacement_too_cheap(chain: FakeChain, send: Send, fee: int, tip: int) -> None:
    send(fee=100 * 10**9, tip=100 * 10**9)
    with pytest.raises(FeeTooLow):
        send(fee=fee * 10**9, tip=tip * 10**9)


def test_pool_error_over_the_cap_of_gas(send: Send) -> None:
    with pytest.raises(SubmitError, match="over the cap"):
        send(gas=TRANSACTION_GAS_MAX + 1)


def test_reorg_default_puts_back(chain: FakeChain, send: Send) -> None:
    transaction = send()
    chain.mine()
    chain.reorg(1)
    assert mined(chain) == []
    chain.mine()
    assert mined(chain) == [transaction.hash]


def test_reorg_behavior_forgets(chain: FakeChain, send: Send) -> None:
    send()
    chain.mine()
    chain.reorg(1, forget=True)
    chain.mine()
    assert mined(chain) == []


def test_reorg_behavior_sideways_mines_the_other_attempt(chain: FakeChain, send: Send) -> None:
    first = send(fee=100 * 10**9, tip=10**9)
    second = send(fee=200 * 10**9, tip=2 * 10**9)
    chain.mine()
    assert mined(chain) == [second.hash]
    chain.reorg(1, sideways=True)
    assert mined(chain) == [first.hash]


async def test_lag_shows_an_older_chain(chain: FakeChain) -> None:
    head = await chain.head()
    chain.lag = 2
    behind = await chain.head()
    assert behind.number == head.number - 2
    assert await chain.block(head.number) is None
    with pytest.raises(ChainUnavailable):
        await chain.receipts(head)


def test_every_block_is_remembered(chain: FakeChain) -> None:
    gone = chain.top.head.hash
    chain.reorg(1)
    assert gone in chain.ever
    assert chain.top.head.hash in chain.ever
    assert chain.top.head.hash != gone
