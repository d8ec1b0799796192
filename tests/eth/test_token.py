from gamekit.contracts import artifact
from gamekit.eth.interface import Interface
from gamekit.eth.token import (
    ALLOWANCE,
    APPROVAL,
    APPROVAL_FOR_ALL,
    GET_APPROVED,
    IS_APPROVED_FOR_ALL,
)


def test_questions_are_those_that_tokens_answer() -> None:
    gold, item = (Interface.from_json(artifact(name).abi) for name in ("Gold", "Item"))
    assert gold.function("allowance").selector == ALLOWANCE.selector
    assert item.function("isApprovedForAll").selector == IS_APPROVED_FOR_ALL.selector
    assert item.function("getApproved").selector == GET_APPROVED.selector


def test_topics_are_those_that_tokens_log() -> None:
    """Source: ERC-20 and ERC-721; the first is one event with two forms."""
    assert APPROVAL.hex() == "8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"
    assert APPROVAL_FOR_ALL.hex() == "17307eab39ab6107e8899845ad3d59bd9653f200f220920489ca2b5937696c31"
