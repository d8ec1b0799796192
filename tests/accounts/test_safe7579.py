import pytest

from gamekit.accounts.safe7579 import EXECUTION_FAILED, EXECUTION_FAILURE, EXECUTION_SUCCESS, Safe7579Stack
from gamekit.accounts.stack import CallOutcome, StackContracts
from gamekit.devnet import DevnetNode
from gamekit.errors import EncodingInvalid
from gamekit.eth.block import Log
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import selector
from gamekit.eth.interface import Event
from gamekit.units import Address, Hash32, Wei
from tests.accounts.scenario import (
    OK,
    account_is_deployed,
    newcomer_opens,
    owner_acts,
    session_ends,
    session_plays,
)
from tests.accounts.world import World

STACK = Safe7579Stack()
ACCOUNT, GAME, VALIDATOR = Address(b"\xac" * 20), Address(b"\x6a" * 20), Address(b"\x07" * 20)
ADAPTER = Address(b"\xad" * 20)
SUCCESS, FAILURE = EXECUTION_SUCCESS, EXECUTION_FAILURE


def event(which: Event, *, by: Address = ACCOUNT, module: Address = ADAPTER) -> Log:
    return Log(by, (which.topic, Hash32(module.rjust(32, b"\0"))), b"", 0)


def outcomes(
    count: int, *logs: Log, try_mode: bool = True, succeeded: bool = True, reason: bytes = b""
) -> tuple[CallOutcome, ...]:
    call_data = STACK.execute([Call(GAME, Wei(0), b"abcd")] * count, try_mode)
    return STACK.call_outcomes(logs, account=ACCOUNT, call_data=call_data, succeeded=succeeded, revert_reason=reason)


class TestNonceKey:
    def test_default(self) -> None:
        assert STACK.nonce_key(VALIDATOR, 3) == int.from_bytes(VALIDATOR + b"\x00\x00\x00\x03", "big")
        assert STACK.lanes_max == 2**32
        assert STACK.owner_nonce_key(VALIDATOR) == STACK.nonce_key(VALIDATOR, 0)


class TestDeployment:
    def test_default(self) -> None:
        found = STACK.deployment(ACCOUNT, 5, StackContracts(GAME, VALIDATOR, VALIDATOR))
        arguments = bytes(12) + ACCOUNT + (5).to_bytes(32, "big")
        assert found.factory_data == selector("createAccount(address,bytes32)") + arguments
        assert found.address_query == selector("accountAddress(address,bytes32)") + arguments
        assert STACK.entry_point_versions == {EntryPointVersion.V07}


class TestCallOutcomes:
    def test_behavior_a_single_call_is_told(self) -> None:
        assert outcomes(1, event(SUCCESS)) == (OK,)
        assert outcomes(1, event(FAILURE)) == (CallOutcome(False),)

    def test_behavior_a_batch_that_is_atomic_is_told(self) -> None:
        assert outcomes(2, event(SUCCESS), try_mode=False) == (OK, OK)
        assert outcomes(1, event(SUCCESS), try_mode=False) == (OK,)

    def test_behavior_a_try_batch_is_not_told(self) -> None:
        assert outcomes(2, event(SUCCESS)) == (CallOutcome(True, inferred=True),) * 2

    def test_behavior_another_modules_execution_stands_before(self) -> None:
        assert outcomes(1, event(SUCCESS, module=GAME), event(FAILURE)) == (CallOutcome(False),)

    def test_behavior_only_the_accounts_own_events_count(self) -> None:
        assert outcomes(1, event(FAILURE), event(SUCCESS, by=GAME), Log(ACCOUNT, (), b"", 1)) == (CallOutcome(False),)

    def test_behavior_the_adapters_error_is_no_reason(self) -> None:
        assert outcomes(2, succeeded=False, reason=EXECUTION_FAILED) == (CallOutcome(False),) * 2
        assert outcomes(2, succeeded=False, reason=b"other") == (CallOutcome(False, b"other"),) * 2

    def test_error_no_execution(self) -> None:
        with pytest.raises(EncodingInvalid, match="reports no execution"):
            outcomes(1, event(SUCCESS, by=GAME))


@pytest.mark.e2e
@pytest.mark.slow
class TestOnChain:
    async def test_deployment(self, node: DevnetNode) -> None:
        await account_is_deployed(node, "safe7579", "0.7")

    async def test_newcomer(self, node: DevnetNode) -> None:
        await newcomer_opens(node, "safe7579", "0.7")

    async def test_session(self, node: DevnetNode) -> None:
        await session_plays(node, "safe7579", "0.7", lane=2**32 - 1)

    async def test_end(self, node: DevnetNode) -> None:
        await session_ends(node, "safe7579", "0.7")

    async def test_owner(self, node: DevnetNode) -> None:
        await owner_acts(node, "safe7579", "0.7")

    async def test_nothing_tells_of_a_try_batch(self, node: DevnetNode) -> None:
        """Why outcomes are inferred: a batch in which half reverted looks like one in which nothing did."""
        world = await World.create(node, "safe7579", "0.7")
        await world.open_session(0)
        move, strong = world.game.encode("move", [1, 2]), world.game.encode("attack", [9, 500])
        await world.play([move, move], try_mode=True)
        all_succeeded = world.told
        found = await world.play([move, strong], try_mode=True)
        assert world.told == all_succeeded
        assert [each.succeeded for each in found] == [True, False]

    async def test_a_validator_that_is_not_installed_means_the_safes_owners(self, node: DevnetNode) -> None:
        """The session key is none: what it signs for such a nonce is refused by the Safe itself."""
        world = await World.create(node, "safe7579", "0.7")
        await world.open_session(0)
        move = world.game.encode("move", [1, 2])
        unsigned = await world.unsigned([move], STACK.nonce_key(GAME, 0), try_mode=True)
        code, _ = await world.refusal(world.signed_by(world.key, unsigned))
        assert code in ("AA23", "AA24")
