"""Functions that a session may never call."""

import pytest

from gamekit.core.asset_selectors import ASSET_FUNCTIONS, DENIED_SELECTORS
from gamekit.eth.interface import Function

_ALL = [signature for signatures in ASSET_FUNCTIONS.values() for signature in signatures]


def test_no_two_functions_share_a_selector() -> None:
    assert len(_ALL) == len(DENIED_SELECTORS)


@pytest.mark.parametrize("signature", _ALL)
def test_text_is_canonical(signature: str) -> None:
    assert Function.parse(signature).selector in DENIED_SELECTORS


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        # Selectors as block explorers know them, so that a misspelt text is noticed.
        ("transfer(address,uint256)", "a9059cbb"),
        ("approve(address,uint256)", "095ea7b3"),
        ("setApprovalForAll(address,bool)", "a22cb465"),
        ("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", "d505accf"),
        ("transferOwnership(address)", "f2fde38b"),
        ("upgradeToAndCall(address,bytes)", "4f1ef286"),
        ("execute(bytes32,bytes)", "e9ae5c53"),
        ("withdrawTo(address,uint256)", "205c2878"),
        ("multicall(bytes[])", "ac9650d8"),
    ],
)
def test_well_known_functions_are_listed(signature: str, expected: str) -> None:
    assert signature in _ALL
    assert bytes.fromhex(expected) in DENIED_SELECTORS


def test_play_is_not_listed() -> None:
    for signature in ("move(int16,int16)", "attack(uint256,uint16)", "craft(uint256,uint256)", "claimLoot(address)"):
        assert Function.parse(signature).selector not in DENIED_SELECTORS
