import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.accounts.nexus import TRY_EXECUTE_UNSUCCESSFUL, NexusStack
from gamekit.accounts.stack import CallOutcome, StackContracts
from gamekit.devnet import DevnetNode
from gamekit.errors import ConfigInvalid, EncodingInvalid
from gamekit.eth.abi import encode
from gamekit.eth.abi_text import parse_type
from gamekit.eth.block import Log
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.units import Address, NonceKey, Wei
from tests.accounts.scenario import (
    NO_STAMINA,
    account_is_deployed,
    newcomer_opens,
    owner_acts,
    session_ends,
    session_plays,
)
from tests.accounts.world import World

STACK = NexusStack()
ACCOUNT, GAME, VALIDATOR = Address(b"\xac" * 20), Address(b"\x6a" * 20), Address(b"\x07" * 20)
OK = CallOutcome(succeeded=True)
NO = CallOutcome(False, b"no")
OK_PERHAPS, NO_PERHAPS = (CallOutcome(each.succeeded, each.revert_data, inferred=True) for each in (OK, NO))


def failure(name: str, revert_data: bytes = b"no", *, by: Address = ACCOUNT) -> Log:
    data = encode((parse_type("bytes"), parse_type("bytes")), (data_of(name), revert_data))
    return Log(by, (TRY_EXECUTE_UNSUCCESSFUL.topic,), data, 0)


def data_of(name: str) -> bytes:
    return name.encode() * 4


def outcomes(calls: str, *logs: Log, succeeded: bool = True, reason: bytes = b"") -> tuple[CallOutcome, ...]:
    """Each letter is a call with its own data."""
    call_data = STACK.execute([Call(GAME, Wei(0), data_of(name)) for name in calls], try_mode=True)
    return STACK.call_outcomes(logs, account=ACCOUNT, call_data=call_data, succeeded=succeeded, revert_reason=reason)


class TestNonceKey:
    def test_default(self) -> None:
        assert STACK.nonce_key(VALIDATOR, 3) == int.from_bytes(b"\x00\x00\x03\x00" + VALIDATOR, "big")
        assert STACK.lanes_max == 2**24

    def test_error_another_mode(self) -> None:
        with pytest.raises(ConfigInvalid, match="not a nonce key of a nexus session"):
            STACK.read_nonce_key(NonceKey(1 << 160))


class TestDeployment:
    def test_error_no_bootstrap(self) -> None:
        with pytest.raises(ConfigInvalid, match="bootstrap"):
            STACK.deployment(ACCOUNT, 5, StackContracts(GAME, VALIDATOR, VALIDATOR))

    def test_behavior_both_calls_speak_of_the_same_account(self) -> None:
        found = STACK.deployment(ACCOUNT, 5, StackContracts(GAME, VALIDATOR, VALIDATOR, GAME))
        assert found.factory_data[4:] == found.address_query[4:]
        assert found.factory_data[:4].hex() == "ea6d13ac"
        assert found.address_query[:4].hex() == "fafa2b42"

    def test_behavior_versions(self) -> None:
        assert STACK.entry_point_versions == {EntryPointVersion.V07}


class TestCallOutcomes:
    def test_default(self) -> None:
        assert outcomes("ab") == (OK, OK)

    @pytest.mark.parametrize(
        ("calls", "failed", "expected"),
        [
            ("abc", "b", (OK, NO, OK)),
            ("abc", "abc", (NO, NO, NO)),
            ("aa", "aa", (NO, NO)),
            ("aa", "a", (OK_PERHAPS, NO_PERHAPS)),
            ("aab", "ab", (OK_PERHAPS, NO_PERHAPS, NO)),
            ("aba", "ab", (NO, NO, OK)),
            ("aba", "ba", (OK, NO, NO)),
            ("aaa", "aa", (OK_PERHAPS, NO_PERHAPS, NO_PERHAPS)),
            ("abab", "ab", (OK_PERHAPS, OK_PERHAPS, NO_PERHAPS, NO_PERHAPS)),
        ],
    )
    def test_args_failures(self, calls: str, failed: str, expected: tuple[CallOutcome, ...]) -> None:
        assert outcomes(calls, *map(failure, failed)) == expected

    @given(st.text("ab", min_size=1, max_size=7), st.data())
    def test_behavior_certain_means_every_reading_agrees(self, calls: str, data: st.DataObject) -> None:
        truth = data.draw(st.sets(st.integers(0, len(calls) - 1)))
        failed = "".join(calls[place] for place in sorted(truth))
        found = outcomes(calls, *map(failure, failed))
        readings = [
            places
            for places in itertools.combinations(range(len(calls)), len(failed))
            if "".join(calls[place] for place in places) == failed
        ]
        for place, outcome in enumerate(found):
            verdicts = {place not in reading for reading in readings}
            assert len(verdicts) == 1 or outcome.inferred
            assert outcome.succeeded in verdicts
        assert tuple(place for place, outcome in enumerate(found) if not outcome.succeeded) in readings

    def test_behavior_only_the_accounts_own_events_count(self) -> None:
        assert outcomes("a", failure("a", by=GAME), Log(ACCOUNT, (), b"", 1)) == (OK,)

    def test_behavior_a_failed_execution_undoes_all(self) -> None:
        assert outcomes("ab", failure("a"), succeeded=False, reason=b"all") == (CallOutcome(False, b"all"),) * 2

    @pytest.mark.parametrize("failed", ["c", "ba", "aa"])
    def test_error_failures_of_other_calls(self, failed: str) -> None:
        with pytest.raises(EncodingInvalid, match="does not have"):
            outcomes("ab", *map(failure, failed))


@pytest.mark.e2e
@pytest.mark.slow
class TestOnChain:
    async def test_deployment(self, node: DevnetNode) -> None:
        await account_is_deployed(node, "nexus", "0.7")

    async def test_session(self, node: DevnetNode) -> None:
        await session_plays(node, "nexus", "0.7", lane=2**24 - 1)

    async def test_newcomer(self, node: DevnetNode) -> None:
        await newcomer_opens(node, "nexus", "0.7")

    async def test_end(self, node: DevnetNode) -> None:
        await session_ends(node, "nexus", "0.7")

    async def test_owner(self, node: DevnetNode) -> None:
        await owner_acts(node, "nexus", "0.7")

    async def test_equal_calls(self, node: DevnetNode) -> None:
        world = await World.create(node, "nexus", "0.7")
        await world.open_session(0)
        strong, move = world.game.encode("attack", [9, 500]), world.game.encode("move", [1, 2])
        found = await world.play([move, strong, strong], try_mode=True)
        assert found == (OK, CallOutcome(False, NO_STAMINA), CallOutcome(False, NO_STAMINA))
