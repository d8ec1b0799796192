from gamekit.core.withdrawal import INCLUDED, PREPARED, Withdrawal
from gamekit.units import Gas, PlayerId, UserOpHash, Wei
from tests.core.rows import ENTRY_POINT
from tests.core.scopes import ACCOUNT, REVOKER, START


def test_a_withdrawal_moves() -> None:
    gas, fee = Gas(1), Wei(1)
    one = Withdrawal(
        UserOpHash(b"\x01" * 32), PlayerId("alice"), ACCOUNT, REVOKER, "reference", "0.7", ENTRY_POINT, 5, b"", gas,
        gas, gas, fee, fee, START, "send 5 wei",
    )  # fmt: skip
    assert (one.state, one.signature) == (PREPARED, b"")
    moved = one.moved(INCLUDED, block_number=7)
    assert (moved.state, moved.block_number, moved.meaning) == (INCLUDED, 7, "send 5 wei")
