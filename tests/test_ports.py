"""What stands behind each port has every method of it, by the same names and parameters."""

import inspect
from typing import Any

import pytest

from gamekit import ports
from gamekit.chain.reader import EvmChain
from gamekit.keys.keystore import Keystore
from gamekit.keys.signer import LocalSigner
from gamekit.kit import MonotonicClock
from gamekit.store.memory import MemoryStore
from gamekit.store.sqlite import SqliteStore
from gamekit.testing.chain import FakeChain

PAIRS = [
    (ports.Store, SqliteStore),
    (ports.Store, MemoryStore),
    (ports.ChainReader, EvmChain),
    (ports.TransactionSender, EvmChain),
    (ports.ChainReader, FakeChain),
    (ports.TransactionSender, FakeChain),
    (ports.Signer, LocalSigner),
    (ports.KeyMaker, Keystore),
    (ports.Clock, MonotonicClock),
]


def methods(port: type) -> list[str]:
    return [name for name in vars(port) if not name.startswith("_")]


@pytest.mark.parametrize(("port", "adapter"), PAIRS, ids=lambda each: each.__name__)
def test_an_adapter_has_every_method_of_its_port(port: type, adapter: type) -> None:
    for name in methods(port):
        ours: Any = inspect.getattr_static(adapter, name)
        asked: Any = inspect.getattr_static(port, name)
        if isinstance(asked, property):
            assert isinstance(ours, property)
            continue
        found = [(each.name, each.kind) for each in inspect.signature(ours).parameters.values()]
        wanted = [(each.name, each.kind) for each in inspect.signature(asked).parameters.values()]
        assert found == wanted, name
        assert inspect.iscoroutinefunction(ours) is inspect.iscoroutinefunction(asked), name


def test_every_port_has_an_adapter() -> None:
    protocols = {each for each in vars(ports).values() if getattr(each, "_is_protocol", False)}
    ours = {each for each in protocols if each.__module__ == ports.__name__}
    assert ours - {port for port, _ in PAIRS} == {ports.SealedKey}
