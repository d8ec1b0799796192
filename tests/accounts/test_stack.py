import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.accounts import STACKS, stack
from gamekit.accounts.stack import AccountStack, CallOutcome, all_failed, encode_execution
from gamekit.errors import ConfigInvalid, EncodingInvalid
from gamekit.eth.calldata import Call, Mode, decode_execute
from gamekit.eth.typed_data import Field, TypedData
from gamekit.units import ZERO_ADDRESS, Address, NonceKey, Wei

GAME, VALIDATOR = Address(b"\x6a" * 20), Address(b"\x07" * 20)
CALLS = [Call(GAME, Wei(0), bytes((number,)) * 5) for number in range(3)]

addresses = st.binary(min_size=20, max_size=20).map(Address)
each_stack = pytest.mark.parametrize("adapter", STACKS.values(), ids=STACKS)


class TestStack:
    def test_default(self) -> None:
        assert list(STACKS) == ["reference", "nexus", "safe7579", "kernel", "reference_7702"]
        assert [stack(name).name for name in STACKS] == list(STACKS)

    def test_error_unknown(self) -> None:
        with pytest.raises(ConfigInvalid, match=r"unknown account stack 'simple', known are \['kernel', 'nexus', "):
            stack("simple")


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
    @given(validator=addresses, data=st.data())
    def test_behavior_nonce_keys_can_be_read_again(
        self, adapter: AccountStack, validator: Address, data: st.DataObject
    ) -> None:
        lane = data.draw(st.integers(0, adapter.lanes_max - 1))
        key = adapter.nonce_key(validator, lane)
        assert 0 <= key < 1 << 192
        assert adapter.read_nonce_key(key) == (validator, lane)

    @each_stack
    @given(head=st.integers(0, 0xFFFF) | st.integers(0, 3), rest=st.binary(min_size=22, max_size=22))
    def test_behavior_only_what_it_writes_is_read(self, adapter: AccountStack, head: int, rest: bytes) -> None:
        """Another mode or kind of validation is refused, or it could not be written as it was read."""
        key = NonceKey(head << 176 | int.from_bytes(rest, "big"))
        try:
            validator, lane = adapter.read_nonce_key(key)
        except ConfigInvalid:
            return
        assert adapter.nonce_key(validator, lane) == key

    @each_stack
    def test_behavior_the_owners_nonce_key_is_no_sessions(self, adapter: AccountStack) -> None:
        module = Address(b"\x5e" * 20)
        owners = adapter.owner_nonce_key(VALIDATOR)
        assert owners not in {adapter.nonce_key(module, lane) for lane in (0, 1, adapter.lanes_max - 1)}

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
    @given(validator=addresses, signature=st.binary(max_size=80))
    def test_behavior_signatures(self, adapter: AccountStack, validator: Address, signature: bytes) -> None:
        """Whoever reads them again finds the same validator and the same bytes."""
        assert adapter.signature(signature) == signature
        assert adapter.owner_operation_signature(signature) == signature
        named = None if adapter.own_key_is_owner else validator
        assert adapter.read_owner_signature(adapter.owner_signature(validator, signature)) == (named, signature)

    @each_stack
    @given(head=st.integers(0, 3), rest=st.binary(max_size=90))
    def test_behavior_only_what_it_writes_is_read_as_a_signature(
        self, adapter: AccountStack, head: int, rest: bytes
    ) -> None:
        """Another prefix is refused, or it is exactly what would be written for what was read."""
        written = bytes((head,)) + rest
        try:
            validator, signature = adapter.read_owner_signature(written)
        except EncodingInvalid:
            assert len(written) < 21 or (adapter.name == "kernel" and head != 1)
            return
        assert adapter.owner_signature(validator or ZERO_ADDRESS, signature) == written

    @each_stack
    def test_error_no_prefix(self, adapter: AccountStack) -> None:
        if adapter.own_key_is_owner:
            assert adapter.read_owner_signature(b"") == (None, b"")
            return
        with pytest.raises(EncodingInvalid, match="names no validator"):
            adapter.read_owner_signature(bytes(19))

    @each_stack
    def test_behavior_says_what_the_wallet_shows(self, adapter: AccountStack) -> None:
        typed_data = TypedData(
            {"EIP712Domain": [Field("chainId", "uint256")], "GrantSession": [Field("account", "address")]},
            "GrantSession",
            {"chainId": 1},
            {"account": "0x" + "ac" * 20},
        )
        request = adapter.grant_request(typed_data)
        assert request.kind == "typed_data"
        assert request.readable == (request.typed_data == typed_data)
        assert request.readable or "hash" in request.note

    @each_stack
    def test_behavior_says_what_holds_there(self, adapter: AccountStack) -> None:
        sentences = (*adapter.limits.enforced, *adapter.limits.not_enforced, *adapter.limits.other_voices)
        assert all(sentence.endswith(".") for sentence in sentences)
        assert adapter.limits.enforced
        assert adapter.limits.other_voices
