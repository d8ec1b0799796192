"""A keystore whose randomness is a fixed pattern, so that a leaked key can be found."""

from pathlib import Path

import pytest

from gamekit.keys import Keystore, LocalSigner
from tests.keys.canary import Canary


@pytest.fixture
def canary() -> Canary:
    return Canary()


@pytest.fixture
def keystore(tmp_path: Path, canary: Canary) -> Keystore:
    return Keystore.open(tmp_path / "gamekit.key", fill=canary, now=lambda: 1_000.0)


@pytest.fixture
def signer(keystore: Keystore) -> LocalSigner:
    return LocalSigner(keystore)
