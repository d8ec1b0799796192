import pytest

from gamekit.accounts.reference import TRY_EXECUTE_FAIL, ReferenceStack
from gamekit.accounts.stack import CallOutcome, StackContracts
from gamekit.devnet import DevnetNode
from gamekit.errors import EncodingInvalid
from gamekit.eth.abi import encode
from gamekit.eth.abi_text import parse_type
from gamekit.eth.block import Log
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import selector
from gamekit.units import Address, NonceKey, Wei
from tests.accounts.scenario import account_is_deployed, newcomer_opens, owner_acts, session_ends, session_plays

STACK = ReferenceStack()
ACCOUNT, GAME, VALIDATOR = Address(b"\xac" * 20), Address(b"\x6a" * 20), Address(b"\x07" * 20)
THREE = STACK.execute([Call(GAME, Wei(0), b"abcd")] * 3, try_mode=True)
OK = CallOutcome(succeeded=True)


def failure(place: int, revert_data: bytes, *, by: Address = ACCOUNT) -> Log:
    data = encode((parse_type("uint256"), parse_type("bytes")), (place, revert_data))
    return Log(by, (TRY_EXECUTE_FAIL.topic,), data, 0)


def outcomes(*logs: Log, succeeded: bool = True, reason: bytes = b"") -> tuple[CallOutcome, ...]:
    return STACK.call_outcomes(logs, account=ACCOUNT, call_data=THREE, succeeded=succeeded, revert_reason=reason)


class TestNonceKey:
    def test_default(self) -> None:
        assert STACK.nonce_key(VALIDATOR, 3) == int.from_bytes(VALIDATOR + b"\x00\x00\x00\x03", "big")
        assert STACK.lanes_max == 2**32
        assert STACK.read_nonce_key(NonceKey(5)) == (bytes(20), 5)


class TestDeployment:
    def test_default(self) -> None:
        contracts = StackContracts(GAME, VALIDATOR, VALIDATOR)
        found = STACK.deployment(ACCOUNT, 5, contracts)
        arguments = bytes(12) + ACCOUNT + (5).to_bytes(32, "big")
        assert found.factory == GAME
        assert found.factory_data == selector("createAccount(address,bytes32)") + arguments
        assert found.address_query == selector("accountAddress(address,bytes32)") + arguments

    def test_behavior_versions(self) -> None:
        assert STACK.entry_point_versions == {EntryPointVersion.V07, EntryPointVersion.V08}


class TestCallOutcomes:
    def test_default(self) -> None:
        assert outcomes() == (OK, OK, OK)

    def test_behavior_failures_name_their_place(self) -> None:
        found = outcomes(failure(2, b"no"), failure(0, b""))
        assert found == (CallOutcome(False, b""), OK, CallOutcome(False, b"no"))

    def test_behavior_only_the_accounts_own_events_count(self) -> None:
        assert outcomes(failure(1, b"no", by=GAME)) == (OK, OK, OK)
        other = Log(ACCOUNT, (selector("Other()") + bytes(28),), b"", 0)  # type: ignore[arg-type]
        assert outcomes(other, Log(ACCOUNT, (), b"", 1)) == (OK, OK, OK)

    def test_behavior_a_failed_execution_undoes_all(self) -> None:
        assert outcomes(failure(1, b"x"), succeeded=False, reason=b"no") == (CallOutcome(False, b"no"),) * 3

    def test_behavior_the_accounts_own_error_is_no_reason(self) -> None:
        assert outcomes(succeeded=False, reason=bytes.fromhex("d6bda275")) == (CallOutcome(False, b""),) * 3

    def test_error_a_place_that_is_not_there(self) -> None:
        with pytest.raises(EncodingInvalid, match="reports call 3 of 3"):
            outcomes(failure(3, b""))


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.parametrize("version", ["0.7", "0.8"])
class TestOnChain:
    async def test_deployment(self, node: DevnetNode, version: str) -> None:
        await account_is_deployed(node, "reference", version)

    async def test_session(self, node: DevnetNode, version: str) -> None:
        await session_plays(node, "reference", version, lane=2**32 - 1)

    async def test_newcomer(self, node: DevnetNode, version: str) -> None:
        await newcomer_opens(node, "reference", version)

    async def test_end(self, node: DevnetNode, version: str) -> None:
        await session_ends(node, "reference", version)

    async def test_owner(self, node: DevnetNode, version: str) -> None:
        await owner_acts(node, "reference", version)
