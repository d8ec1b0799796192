"""Reading validation out of a trace: only what the entry point asked of exactly these accounts."""

import pytest

from benchmarks.gas_chain import Frame, Key, validation_gas
from gamekit.chain.rpc import to_data
from gamekit.eth.signature import recover_address
from gamekit.units import Address

ENTRY_POINT, FIRST, SECOND, MODULE = (Address(bytes([number]) * 20) for number in (0xE0, 0xA1, 0xA2, 0x5E))
VALIDATE = bytes.fromhex("19822f7c")


def frame(sender: Address, to: Address, gas: int, data: bytes = VALIDATE, *calls: Frame) -> Frame:
    return Frame(to_data(sender), hex(gas), to_data(to), to_data(data + bytes(32)), calls=list(calls))


def test_validation_gas_success_sums_the_accounts_and_nothing_below_them() -> None:
    inner = frame(FIRST, MODULE, 7_000)
    executed = frame(ENTRY_POINT, FIRST, 60_000, b"\xe9\xae\x5c\x53")
    trace = frame(
        Address(bytes(20)),
        ENTRY_POINT,
        99_999,
        b"\x76\x5e\x82\x7f",
        frame(ENTRY_POINT, FIRST, 30_000, VALIDATE, inner),
        frame(ENTRY_POINT, SECOND, 20_000),
        executed,
    )
    assert validation_gas(trace, ENTRY_POINT, [FIRST, SECOND], VALIDATE) == 50_000


@pytest.mark.parametrize("accounts", [[FIRST], [FIRST, SECOND, MODULE], [FIRST, FIRST, SECOND]])
def test_validation_gas_refuses_other_accounts_than_were_asked(accounts: list[Address]) -> None:
    twice = [frame(ENTRY_POINT, each, 30_000) for each in (FIRST, SECOND, FIRST)]
    trace = frame(Address(bytes(20)), ENTRY_POINT, 99_999, b"\x76\x5e\x82\x7f", *twice)
    with pytest.raises(ValueError, match="validations of"):
        validation_gas(trace, ENTRY_POINT, accounts, VALIDATE)


def test_key_success_follows_from_its_number() -> None:
    digest = b"\x11" * 32
    assert Key(7).sign(digest) == Key(7).sign(digest)
    assert recover_address(digest, Key(7).sign(digest)) == Key(7).address != Key(8).address
