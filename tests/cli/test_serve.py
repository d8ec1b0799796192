"""What `gamekit serve` decides before it serves."""

import resource

import pytest

from gamekit.commands.serve import FILES_APART, within_descriptors
from gamekit.config import GatewayConfig


class Files:
    """The process's limits of open files."""

    def __init__(self, soft: int, hard: int) -> None:
        self.limits = soft, hard

    def getrlimit(self, _what: int) -> tuple[int, int]:
        return self.limits

    def setrlimit(self, _what: int, limits: tuple[int, int]) -> None:
        self.limits = limits


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "sockets"),
    [
        (1024, 65_536, 1000 + FILES_APART, 1000),
        (1024, 1100, 1100, 1100 - FILES_APART),
        (65_536, 65_536, 65_536, 1000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY, 1000),
        (1024, resource.RLIM_INFINITY, 1000 + FILES_APART, 1000),
        (64, 64, 64, 1),
    ],
)
def test_sockets_fit_the_files_that_may_be_open(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], soft: int, hard: int, raised: int, sockets: int
) -> None:
    files = Files(soft, hard)
    monkeypatch.setattr(resource, "getrlimit", files.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", files.setrlimit)
    assert within_descriptors(GatewayConfig(sockets_max=1000)).sockets_max == sockets
    assert files.limits == (raised, hard)
    assert ("sockets instead of 1000" in capsys.readouterr().err) is (sockets < 1000)
