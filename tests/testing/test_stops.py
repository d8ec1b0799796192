"""Only what was planted excuses a server that ends by itself."""

import pytest

from gamekit.errors import ChainMismatch, ChainUnavailable, StoreConflict, StoreUnavailable
from gamekit.testing.stops import unexcused


@pytest.mark.parametrize(
    ("error", "disk_failed", "chain_failed", "excused"),
    [
        (StoreUnavailable("full"), True, False, True),
        (StoreUnavailable("full"), False, True, False),
        (StoreConflict("another row"), True, True, False),
        (ChainUnavailable("no answer"), False, True, True),
        (ChainUnavailable("no answer"), True, False, False),
        (ChainMismatch("another chain"), True, True, False),
        (KeyError("a mistake"), True, True, False),
        (ExceptionGroup("loops", [StoreUnavailable("full"), KeyError("a mistake")]), True, True, False),
        (ExceptionGroup("loops", [StoreUnavailable("full")]), True, False, True),
    ],
)
def test_unexcused(error: Exception, disk_failed: bool, chain_failed: bool, excused: bool) -> None:
    assert (unexcused(error, disk_failed=disk_failed, chain_failed=chain_failed) == "") is excused
