import pytest

from gamekit.accounts.kernel import INSTALL_MODULE, TRY_EXECUTE_UNSUCCESSFUL, KernelStack, wrap
from gamekit.accounts.stack import CallOutcome, StackContracts
from gamekit.devnet import DevnetNode
from gamekit.errors import ConfigInvalid, EncodingInvalid
from gamekit.eth.abi import encode
from gamekit.eth.abi_text import parse_type
from gamekit.eth.block import Log
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import keccak256, selector
from gamekit.eth.interface import Function
from gamekit.eth.typed_data import domain_separator, typed_data_digest
from gamekit.units import Address, Hash32, NonceKey, Wei
from tests.accounts.scenario import OK, account_is_deployed, newcomer_opens, owner_acts, session_ends, session_plays
from tests.accounts.world import World

STACK = KernelStack()
ACCOUNT, GAME, VALIDATOR = Address(b"\xac" * 20), Address(b"\x6a" * 20), Address(b"\x07" * 20)
OWNER_VALIDATOR = Address(b"\x08" * 20)
THREE = STACK.execute([Call(GAME, Wei(0), b"abcd")] * 3, try_mode=True)
IS_ALLOWED_SELECTOR = Function.parse("isAllowedSelector(bytes21 vId,bytes4 selector)", "bool", "view")


def failure(place: int, revert_data: bytes, *, by: Address = ACCOUNT) -> Log:
    data = encode((parse_type("uint256"), parse_type("bytes")), (place, revert_data))
    return Log(by, (TRY_EXECUTE_UNSUCCESSFUL.topic,), data, 0)


def outcomes(*logs: Log, succeeded: bool = True, reason: bytes = b"") -> tuple[CallOutcome, ...]:
    return STACK.call_outcomes(logs, account=ACCOUNT, call_data=THREE, succeeded=succeeded, revert_reason=reason)


class TestNonceKey:
    def test_default(self) -> None:
        assert STACK.nonce_key(VALIDATOR, 3) == int.from_bytes(b"\x00\x01" + VALIDATOR + b"\x00\x03", "big")
        assert STACK.lanes_max == 2**16
        assert STACK.owner_nonce_key(OWNER_VALIDATOR) == 0

    @pytest.mark.parametrize("head", [b"\x00\x00", b"\x00\x02", b"\x01\x01", b"\x02\x01", b"\x01\x00", b"\xff\xff"])
    def test_error_another_mode_or_kind_of_validation(self, head: bytes) -> None:
        with pytest.raises(ConfigInvalid, match="not a nonce key of a kernel session"):
            STACK.read_nonce_key(NonceKey(int.from_bytes(head + VALIDATOR + b"\x00\x03", "big")))


class TestDeployment:
    def test_behavior_both_calls_speak_of_the_same_account(self) -> None:
        found = STACK.deployment(ACCOUNT, 5, StackContracts(GAME, VALIDATOR, OWNER_VALIDATOR))
        assert found.factory_data[4:] == found.address_query[4:]
        assert found.factory_data[:4].hex() == "ea6d13ac"
        assert found.address_query[:4] == selector("getAddress(bytes,bytes32)")
        assert STACK.entry_point_versions == {EntryPointVersion.V07}

    def test_behavior_the_session_validator_may_start_execute_only(self) -> None:
        words = [32 * number for number in (3, 5, 6)]
        expected = bytes(19) + b"\x01"
        expected += b"".join(word.to_bytes(32, "big") for word in words)
        expected += (21).to_bytes(32, "big") + b"\x01" + OWNER_VALIDATOR + bytes(11)
        expected += bytes(32)
        expected += (4).to_bytes(32, "big") + bytes.fromhex("e9ae5c53") + bytes(28)
        assert STACK.install_data(OWNER_VALIDATOR) == expected


class TestGrantRequest:
    def test_behavior_the_wallet_shows_a_hash(self) -> None:
        wrapped = wrap(Hash32(b"\x11" * 32), 1, "0x" + ACCOUNT.hex())
        typehash = bytes.fromhex("1547321c374afde8a591d972a084b071c594c275e36724931ff96c25f2999c83")
        body = keccak256(b"\x19\x01" + domain_separator(wrapped) + keccak256(typehash + b"\x11" * 32))
        assert typed_data_digest(wrapped) == body


class TestCallOutcomes:
    def test_default(self) -> None:
        assert outcomes() == (OK, OK, OK)

    def test_behavior_failures_name_their_place(self) -> None:
        found = outcomes(failure(2, b"no"), failure(0, b""))
        assert found == (CallOutcome(False, b""), OK, CallOutcome(False, b"no"))

    def test_behavior_only_the_accounts_own_events_count(self) -> None:
        assert outcomes(failure(1, b"no", by=GAME)) == (OK, OK, OK)

    def test_behavior_a_failed_execution_undoes_all(self) -> None:
        assert outcomes(failure(1, b"x"), succeeded=False, reason=b"no") == (CallOutcome(False, b"no"),) * 3

    def test_error_a_place_that_is_not_there(self) -> None:
        with pytest.raises(EncodingInvalid, match="reports call 3 of 3"):
            outcomes(failure(3, b""))


@pytest.mark.e2e
@pytest.mark.slow
class TestOnChain:
    async def test_deployment(self, uncapped_node: DevnetNode) -> None:
        await account_is_deployed(uncapped_node, "kernel", "0.7")

    async def test_newcomer(self, uncapped_node: DevnetNode) -> None:
        await newcomer_opens(uncapped_node, "kernel", "0.7")

    async def test_session(self, uncapped_node: DevnetNode) -> None:
        await session_plays(uncapped_node, "kernel", "0.7", lane=2**16 - 1)

    async def test_end(self, uncapped_node: DevnetNode) -> None:
        await session_ends(uncapped_node, "kernel", "0.7")

    async def test_owner(self, uncapped_node: DevnetNode) -> None:
        await owner_acts(uncapped_node, "kernel", "0.7")

    async def test_the_module_may_start_nothing_but_execute(self, uncapped_node: DevnetNode) -> None:
        world = await World.create(uncapped_node, "kernel", "0.7")
        module, owners = (
            b"\x01" + each for each in (world.contracts.session_validator, world.contracts.owner_validator)
        )
        allowed = {
            (which, start): await world.call(world.account, IS_ALLOWED_SELECTOR.encode_call(which, start))
            for which in (module, owners)
            for start in (bytes.fromhex("e9ae5c53"), INSTALL_MODULE.selector)
        }
        assert [int.from_bytes(each, "big") for each in allowed.values()] == [1, 0, 0, 0]

    @pytest.mark.parametrize("head", [b"\x01\x01", b"\x02\x01", b"\x00\x00", b"\x00\x02"])
    async def test_another_mode_or_kind_of_validation_is_refused(self, uncapped_node: DevnetNode, head: bytes) -> None:
        """On chain as well: the whole nonce key is the session's."""
        world = await World.create(uncapped_node, "kernel", "0.7")
        await world.open_session(3)
        good = await world.session_operation([world.game.encode("move", [1, 2])], try_mode=True)
        key = NonceKey(int.from_bytes(head + good.nonce.to_bytes(32, "big")[2:24], "big"))
        elsewhere = await world.sealed(await world.unsigned([world.game.encode("move", [1, 2])], key, try_mode=True))
        assert (await world.refusal(elsewhere))[0] in ("AA23", "AA24")
        assert await world.land(good) == (OK,)
