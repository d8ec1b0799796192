import pytest

from gamekit.errors import ChainUnavailable
from gamekit.eth.entry_point import BALANCE_OF
from gamekit.eth.session_validator_abi import SessionState, decode_session
from gamekit.runtime.answer import read_answer


def test_an_answer_is_decoded() -> None:
    assert read_answer(BALANCE_OF.decode_result, (7).to_bytes(32, "big")) == (7,)
    assert read_answer(decode_session, bytes(7 * 32)).state is SessionState.NONE


@pytest.mark.parametrize(
    "answer", [b"", bytes(6 * 32), bytes(8 * 32), b"\xff" * 7 * 32], ids=["empty", "short", "long", "out of range"]
)
def test_what_does_not_decode_is_no_answer(answer: bytes) -> None:
    with pytest.raises(ChainUnavailable, match="does not decode"):
        read_answer(decode_session, answer)
