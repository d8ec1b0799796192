"""The generated Solidity list of denied selectors is the one that its source gives."""

import re

from gamekit.contracts.generate import TARGET, source
from gamekit.core.asset_selectors import ASSET_FUNCTIONS, DENIED_SELECTORS


def test_file_is_current() -> None:
    assert TARGET.read_text() == source(), "run `python -m gamekit.contracts.generate`"


def test_file_holds_each_selector_once_and_ascending() -> None:
    words = "".join(re.findall(r'hex"([0-9a-f]+)"', TARGET.read_text()))
    selectors = [bytes.fromhex(words[start : start + 8]) for start in range(0, len(words), 8)]
    assert selectors == sorted(DENIED_SELECTORS)
    assert f"COUNT = {len(selectors)};" in TARGET.read_text()


def test_file_names_each_function() -> None:
    text = TARGET.read_text()
    for signatures in ASSET_FUNCTIONS.values():
        for signature in signatures:
            assert f" {signature}\n" in text
