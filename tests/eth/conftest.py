"""Vectors, and the deployed EntryPoints to compare with."""

import asyncio
import json
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

from gamekit.devnet import Anvil, DevnetNode
from gamekit.devnet.deployment import ENTRY_POINT_SALTS, Plan, carry_out
from gamekit.eth.hashing import parse_hex, to_hex
from gamekit.units import Address

# The same examples in every run, and no verdict that depends on how busy the machine is.
settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")

VECTORS = Path(__file__).parents[1] / "vectors"


def load_vectors(name: str) -> dict[str, object]:
    document: dict[str, object] = json.loads((VECTORS / f"{name}.json").read_text())
    assert document["origin"], "vectors say where they come from"
    return document


@pytest.fixture(scope="session")
def vectors() -> Callable[[str], dict[str, object]]:
    """Load a file of tests/vectors by its name."""
    return load_vectors


class Node:
    """Many questions to a node in one request, without an event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask_many(self, questions: Sequence[tuple[str, list[object]]]) -> list[str]:
        body = [
            {"jsonrpc": "2.0", "id": place, "method": method, "params": parameters}
            for place, (method, parameters) in enumerate(questions)
        ]
        request = urllib.request.Request(self._url, json.dumps(body).encode(), {"content-type": "application/json"})
        answers = json.loads(self._opener.open(request, timeout=60).read())
        return [answer["result"] for answer in sorted(answers, key=lambda answer: int(answer["id"]))]

    def ask(self, method: str, *parameters: object) -> str:
        return self.ask_many([(method, list(parameters))])[0]

    def call_many(self, to: Address, calldatas: Sequence[bytes]) -> list[bytes]:
        """Call a contract many times without effect."""
        questions: list[tuple[str, list[object]]] = [
            ("eth_call", [{"to": to_hex(to), "data": to_hex(data)}, "latest"]) for data in calldatas
        ]
        return [parse_hex(answer) for answer in self.ask_many(questions)]


def deploy(anvil: Anvil, plan: Plan) -> Node:
    """Deploy what is missing of a plan."""

    async def carry_out_plan() -> None:
        async with DevnetNode(anvil.url) as node:
            await carry_out(node, plan)

    asyncio.run(carry_out_plan())
    return Node(anvil.url)


@pytest.fixture
def entry_points(anvil: Anvil) -> Node:
    """A node with EntryPoint 0.6, 0.7 and 0.8 at their canonical addresses."""
    plan = Plan()
    for name, salt in ENTRY_POINT_SALTS.items():
        plan.add(name, salt=salt)
    return deploy(anvil, plan)


class Module:
    """The compiled session validator on a node."""

    def __init__(self, node: Node, address: Address) -> None:
        self._node = node
        self.address = address

    def call(self, data: bytes) -> bytes:
        """Call it without effect."""
        return self._node.call_many(self.address, [data])[0]


@pytest.fixture
def module(anvil: Anvil) -> Module:
    """The session validator, deployed where its bytecode says."""
    plan = Plan()
    address = plan.add("SessionValidator")
    return Module(deploy(anvil, plan), address)
