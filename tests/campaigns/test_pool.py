import pytest
from eth_account import Account

from tests.campaigns.pool import UNDERPRICED, Pool, read

KEY = "0x" + "11" * 32


def raw(nonce: int = 0, fee: int = 100, tip: int = 100) -> str:
    transaction = {
        "type": 2,
        "chainId": 1,
        "nonce": nonce,
        "maxFeePerGas": fee,
        "maxPriorityFeePerGas": tip,
        "gas": 21_000,
        "to": "0x" + "22" * 20,
        "value": 0,
        "data": "0x",
    }
    return "0x" + bytes(Account.sign_transaction(transaction, KEY).raw_transaction).hex()


def test_read_default() -> None:
    bid = read(raw(nonce=3, fee=200, tip=50))
    assert (bid.nonce, bid.max_fee, bid.max_priority_fee) == (3, 200, 50)
    assert bid.sender == Account.from_key(KEY).address.lower()
    assert len(bid.hash) == 66


@pytest.mark.parametrize(
    ("fee", "tip", "why"),
    [
        (110, 110, ""),
        (109, 110, UNDERPRICED),
        (110, 109, UNDERPRICED),
        (200, 100, UNDERPRICED),
        (100, 200, UNDERPRICED),
        (100, 100, ""),
    ],
)
def test_admit_behavior_a_replacement_raises_both_fees_by_a_tenth(fee: int, tip: int, why: str) -> None:
    """The last case is the same transaction again, which is none."""
    pool = Pool()
    pool.entered(raw())
    assert pool.admit(raw(fee=fee, tip=tip)) == why
    assert pool.refused == bool(why)


def test_admit_behavior_another_nonce_is_no_replacement() -> None:
    pool = Pool()
    pool.entered(raw())
    assert pool.admit(raw(nonce=1, fee=1, tip=1)) == ""


def test_again_default() -> None:
    pool = Pool()
    first, second = raw(nonce=0), raw(nonce=1)
    pool.entered(first)
    pool.entered(second)
    assert pool.again([read(second).hash, read(first).hash, "0x" + "00" * 32]) == [first, second]
