"""The parity campaign, small: nothing that may never be, each planted bug found. CI and nightly run it in full:

`python -m tests.proof.parity --count 50000` and `--count 1000000`.
"""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from gamekit.devnet import Anvil, DevnetNode
from gamekit.eth.session_validator_abi import SessionRecord
from gamekit.eth.user_operation import PackedUserOperation
from gamekit.units import Address, PermissionId
from tests.proof.parity.campaign import ACCEPTED_SHARE_MIN, STRICTER, Campaign, Result
from tests.proof.parity.inputs import KINDS, Inputs
from tests.proof.parity.oracle import ContractVerdict, Oracle, validation_errors
from tests.proof.parity.plants import PLANTS, Plant
from tests.proof.parity.verdict import OTHER_FORM, Parts

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SEED, COUNT = 1, 3_000
LEFT_OUT = {"cut or longer": 1}


class Tape:
    """The contract's side, with what it said kept: a plant changes nothing there, so it need not be asked again."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._kept: dict[bytes, ContractVerdict] = {}
        self._granted: list[bytes] = []
        self.ground = oracle.ground
        self.epoch = oracle.epoch

    async def grant(self, scopes: Iterable[bytes]) -> None:
        wanted = list(scopes)
        if wanted != self._granted:
            await self._oracle.grant(wanted)
            self._granted = wanted

    async def judge(
        self,
        operations: Sequence[tuple[PermissionId, PackedUserOperation]],
        records: dict[PermissionId, SessionRecord],
        entry_point: Address,
    ) -> list[ContractVerdict]:
        names = [repr((op, records[permission], entry_point)).encode() for permission, op in operations]
        if not all(name in self._kept for name in names):
            self._kept |= zip(names, await self._oracle.judge(operations, records, entry_point), strict=True)
        return [self._kept[name] for name in names]


class Recorded:
    """One run without a plant, one input of it by itself, one of useless inputs; and what the contract said."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.tape: Tape
        self.clean: Result
        self.useless: Result
        self.short: Result

    async def record(self) -> None:
        anvil = Anvil.start(self._folder)
        try:
            async with DevnetNode(anvil.url, timeout_ms=120_000) as node:
                self.tape = Tape(await Oracle.create(node))
                running = Campaign(self.tape, SEED, Plant())
                self.clean = await running.run(COUNT)
                self.useless = await Campaign(self.tape, SEED, Plant(), kinds=LEFT_OUT).run(250)
                self.short = await Campaign(self.tape, SEED, Plant(), all_errors_from=1).run(20)
        finally:
            anvil.stop()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    found = Recorded(tmp_path_factory.mktemp("parity"))
    asyncio.run(found.record())
    return found


def test_python_never_accepts_what_the_contract_refuses(recorded: Recorded) -> None:
    assert recorded.clean.faults == []
    assert recorded.clean.count == COUNT
    assert recorded.clean.accepted >= ACCEPTED_SHARE_MIN * COUNT


def test_every_error_of_validation_is_produced(recorded: Recorded) -> None:
    assert len(validation_errors()) >= 25
    assert recorded.clean.errors.keys() == validation_errors()


def test_work_is_bounded_by_the_input(recorded: Recorded) -> None:
    assert recorded.clean.elements > COUNT
    assert recorded.clean.elements_per_word_max <= 1


def test_every_kind_of_input_is_judged(recorded: Recorded) -> None:
    assert recorded.clean.kinds.keys() == KINDS.keys()
    assert all(sum(told.values()) > COUNT // 100 for told in recorded.clean.kinds.values())


async def test_granting_replaces_what_was_granted(tmp_path: Path) -> None:
    anvil = Anvil.start(tmp_path)
    try:
        async with DevnetNode(anvil.url) as node:
            oracle = await Oracle.create(node)
            scopes = [each.granted for each in Inputs(SEED, oracle.ground, oracle.epoch).pool(0)]
            await oracle.grant(scopes)
            await oracle.grant(scopes)  # refused if any of them were still there
    finally:
        anvil.stop()


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_bug_is_found(recorded: Recorded, name: str) -> None:
    plant, what = PLANTS[name]
    result = asyncio.run(Campaign(recorded.tape, SEED, plant).run(COUNT, until=what))
    assert what in [fault.what for fault in result.faults], f"{name} was not found in {result.count} inputs"


def test_a_campaign_of_useless_inputs_is_found(recorded: Recorded) -> None:
    assert [fault.what for fault in recorded.useless.faults] == [
        "too few inputs are accepted for the others to mean anything"
    ]


def test_errors_that_no_input_produced_are_found(recorded: Recorded) -> None:
    (fault,) = recorded.short.faults
    assert fault.what == "errors of validation that no input produced"
    assert fault.detail == ", ".join(recorded.short.errors_missing)


def test_a_reason_that_is_not_listed_is_found(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scopes in another form are drawn, and the list is what lets them through."""
    assert recorded.clean.stricter.keys() == STRICTER.keys()
    monkeypatch.delitem(STRICTER, OTHER_FORM)
    result = asyncio.run(Campaign(recorded.tape, SEED, Plant()).run(COUNT))
    assert "for a reason that is not listed" in result.faults[0].what


def test_an_input_by_itself_is_the_same(recorded: Recorded) -> None:
    """What a failure prints is enough to see it again."""
    plant, _ = PLANTS["aliased-offset"]
    fault = asyncio.run(Campaign(recorded.tape, SEED, plant).run(COUNT)).faults[0]
    running = Campaign(recorded.tape, SEED, Plant(Parts(decode=plant.parts.decode)))
    found, _, there = asyncio.run(running.run_one(fault.index))
    assert (found.index, running.result.faults) == (fault.index, [fault])
    assert there.error == "CallDataNotCanonical"
