import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.accounts import STACKS, stack
from gamekit.accounts.stack import AccountStack, CallOutcome, all_failed, encode_execution
from gamekit.errors import ConfigInvalid
from gamekit.eth.calldata import Call, Mode, decode_execute
from gamekit.eth.typed_data import TypedData
from gamekit.units import Address, NonceKey, Wei

GAME, VALIDATOR = Address(b"\x6a" * 20), Address(b"\x07" * 20)
CALLS = [Call(GAME, Wei(0), bytes((number,)) * 5) for number in range(3)]

addresses = st.binary(min_size=20, max_size=20).map(Address)
each_stack = pytest.mark.parametrize("adapter", STACKS.values(), ids=STACKS)


class TestStack:
    def test_default(self) -> None:
        assert {name: stack(name).name for name in STACKS} == {"reference": "reference", "nexus": "nexus"}

    def test_error_unknown(self) -> None:
        with pytest.raises(ConfigInvalid, match=r"unknown account stack 'kernel', known are \['nexus', 'reference'\]"):
            stack("kernel")


class TestEncodeExecution:
    @pytest.mark.parametrize(
        ("count", "try_mode", "mode"),
        [
            (1, False, Mode.SINGLE),
            (1, True, Mode.SINGLE_TRY),
            (3, False, Mode.BATCH),
            (3, True, Mode.BATCH_TRY),
        ],
    )
    def test_default(self, count: int, try_mode: bool, mode: Mode) -> None:
        found = decode_execute(encode_execution(CALLS[:count], try_mode))
        assert (found.mode, list(found.calls)) == (mode, CALLS[:count])


class TestAllFailed:
    def test_default(self) -> None:
        assert all_failed(2, b"\x01") == (CallOutcome(False, b"\x01"), CallOutcome(False, b"\x01"))


class TestEveryStack:
    @each_stack
    @given(validator=addresses, lane=st.integers(0, 2**32 - 1))
    def test_behavior_nonce_keys_can_be_read_again(self, adapter: AccountStack, validator: Address, lane: int) -> None:
        if lane >= adapter.lanes_max:
            with pytest.raises(ConfigInvalid):
                adapter.nonce_key(validator, lane)
            return
        key = adapter.nonce_key(validator, lane)
        assert 0 <= key < 1 << 192
        assert adapter.read_nonce_key(key) == (validator, lane)

    @each_stack
    def test_behavior_lanes_differ(self, adapter: AccountStack) -> None:
        lanes = [0, 1, 2, 255, 256, adapter.lanes_max - 1]
        assert len({adapter.nonce_key(VALIDATOR, lane) for lane in lanes}) == len(lanes)

    @each_stack
    @pytest.mark.parametrize("beyond", [-1, 0])
    def test_error_lane(self, adapter: AccountStack, beyond: int) -> None:
        lane = -1 if beyond else adapter.lanes_max
        with pytest.raises(ConfigInvalid, match=f"a lane on {adapter.name} is 0 to {adapter.lanes_max - 1}, got"):
            adapter.nonce_key(VALIDATOR, lane)

    @each_stack
    @pytest.mark.parametrize("key", [-1, 1 << 192])
    def test_error_no_nonce_key(self, adapter: AccountStack, key: int) -> None:
        with pytest.raises(ConfigInvalid):
            adapter.read_nonce_key(NonceKey(key))

    @each_stack
    def test_behavior_signatures(self, adapter: AccountStack) -> None:
        assert adapter.signature(b"envelope") == b"envelope"
        assert adapter.owner_operation_signature(b"signed") == b"signed"
        assert adapter.owner_signature(VALIDATOR, b"signed") == VALIDATOR + b"signed"

    @each_stack
    def test_behavior_the_wallet_shows_the_grant(self, adapter: AccountStack) -> None:
        typed_data = TypedData({}, "GrantSession", {}, {})
        request = adapter.grant_request(typed_data)
        assert (request.kind, request.typed_data, request.readable) == ("typed_data", typed_data, True)

    @each_stack
    def test_behavior_says_what_holds_there(self, adapter: AccountStack) -> None:
        sentences = (*adapter.limits.enforced, *adapter.limits.not_enforced, *adapter.limits.other_voices)
        assert all(sentence.endswith(".") for sentence in sentences)
        assert adapter.limits.enforced
        assert adapter.limits.other_voices
