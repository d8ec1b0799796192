import pytest

from gamekit.errors import CallReverted, ChainUnavailable, ConfigInvalid
from gamekit.eth.proxy import BEACON_SLOT, IMPLEMENTATION, IMPLEMENTATION_SLOT, Accepted
from gamekit.runtime.proxies import LIMIT_EXCEEDED, accepted, read_target
from gamekit.testing.chain import FakeChain
from gamekit.units import Address, Hash32
from tests.eth.test_proxy import CLONE, INSIDE

MODULE, PLAIN, PROXY, BEACON = (Address(bytes([number]) * 20) for number in (0x5E, 0xA1, 0xA2, 0xBE))
CODE = b"\x00\xf4"
ASK = IMPLEMENTATION.encode_call()
ONE, TWO, THREE = (Address(bytes([number]) * 20) for number in (1, 2, 3))


def word(address: Address) -> Hash32:
    return Hash32(address.rjust(32, b"\0"))


def chain_of() -> FakeChain:
    chain = FakeChain(*(Address(bytes([number]) * 20) for number in range(0x40, 0x44)))
    chain.codes = {PLAIN: b"\x60\xf4", PROXY: CODE}
    return chain


async def test_a_contract_that_runs_only_itself_needs_nothing() -> None:
    chain = chain_of()
    chain.answers[PLAIN, ASK] = word(ONE)
    assert await accepted(chain, [PLAIN], MODULE) == ()


async def test_a_clone_is_what_stands_in_its_code() -> None:
    chain = chain_of()
    chain.codes[PROXY] = CLONE
    chain.answers[PROXY, ASK] = word(ONE)
    chain.words[PROXY, IMPLEMENTATION_SLOT] = word(TWO)
    assert await accepted(chain, [PROXY], MODULE) == (Accepted(PROXY, Address(INSIDE)),)


async def test_what_it_answers_goes_before_its_storage() -> None:
    chain = chain_of()
    chain.answers[PROXY, ASK] = word(ONE)
    chain.words[PROXY, IMPLEMENTATION_SLOT] = word(TWO)
    assert await accepted(chain, [PROXY], MODULE) == (Accepted(PROXY, ONE),)


async def test_its_storage_goes_before_its_beacon() -> None:
    chain = chain_of()
    chain.words[PROXY, IMPLEMENTATION_SLOT] = word(TWO)
    chain.words[PROXY, BEACON_SLOT] = word(BEACON)
    chain.answers[BEACON, ASK] = word(THREE)
    assert await accepted(chain, [PROXY], MODULE) == (Accepted(PROXY, TWO),)


async def test_its_beacon_goes_before_itself() -> None:
    chain = chain_of()
    chain.words[PROXY, BEACON_SLOT] = word(BEACON)
    assert await accepted(chain, [PROXY], MODULE) == (Accepted(PROXY, PROXY),)
    chain.answers[BEACON, ASK] = word(THREE)
    assert await accepted(chain, [PROXY], MODULE) == (Accepted(PROXY, THREE),)


async def test_one_for_each_target_in_the_order_of_the_scope() -> None:
    chain = chain_of()
    chain.codes[ONE] = CODE
    chain.answers[PROXY, ASK] = word(TWO)
    found = await accepted(chain, [ONE, ONE, PLAIN, PROXY, PROXY], MODULE)
    assert found == (Accepted(ONE, ONE), Accepted(PROXY, TWO))


async def test_what_runs_no_contract_cannot_be_accepted() -> None:
    chain = chain_of()
    chain.answers[PROXY, ASK] = word(ONE)
    chain.codes[ONE] = b""
    with pytest.raises(ConfigInvalid, match="no code") as refused:
        await accepted(chain, [PROXY], MODULE)
    assert refused.value.compared == {"target": PROXY, "told": ONE, "implementation": ONE}


async def test_an_answer_that_is_no_address_is_none() -> None:
    chain = chain_of()
    chain.answers[PROXY, ASK] = b"\xff" * 32
    assert (await read_target(chain, PROXY, MODULE)).told is None


class Asked(FakeChain):
    """Fails when it is asked."""

    error: Exception

    async def call(self, *args: object, **options: object) -> bytes:
        raise self.error


def refused(code: int) -> ChainUnavailable:
    error = ChainUnavailable("no", rpc_code=code)
    error.code = "rpc_refused"  # type: ignore[misc]
    return error


@pytest.mark.parametrize("error", [CallReverted("no", b""), refused(-32000)])
async def test_a_call_that_fails_tells_nothing(error: Exception) -> None:
    chain = Asked(*(Address(bytes([number]) * 20) for number in range(0x40, 0x44)))
    chain.codes, chain.error = {PROXY: CODE}, error
    assert await accepted(chain, [PROXY], MODULE) == (Accepted(PROXY, PROXY),)


@pytest.mark.parametrize("error", [ChainUnavailable("no"), refused(LIMIT_EXCEEDED)])
async def test_a_node_that_does_not_answer_is_no_answer(error: Exception) -> None:
    chain = Asked(*(Address(bytes([number]) * 20) for number in range(0x40, 0x44)))
    chain.codes, chain.error = {PROXY: CODE}, error
    with pytest.raises(ChainUnavailable):
        await accepted(chain, [PROXY], MODULE)
