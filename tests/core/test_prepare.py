import pytest
from msgspec.structs import replace

from gamekit.accounts import stack
from gamekit.config import BatchConfig, SponsorConfig
from gamekit.core.fees import Fees
from gamekit.core.policy import GasPolicy, TimeFramePolicy
from gamekit.core.prepare import SessionCodec, call_gas, pre_verification_gas, times, verification_gas
from gamekit.core.relay import operation_gas
from gamekit.core.tracking import Operation
from gamekit.core.usage import time_range
from gamekit.eth.calldata import Mode, decode_execute
from gamekit.eth.entry_point import pack_bundle_element
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.session_paymaster import session_data
from gamekit.eth.session_validator import decode_envelope, operation_digest
from gamekit.eth.user_op_hash import user_op_hash
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Address, ChainId, NonceSequence, UnixSeconds, Wei
from tests.core.rows import ENTRY_POINT, NONCE_KEY, PERMISSION, actions, codec, head, session
from tests.core.scopes import ACCOUNT, START, scope_of

LIMITS = BatchConfig()
FEES = Fees(Wei(30), Wei(3))
TIMES = UnixSeconds(START + 9), UnixSeconds(START + 99)
TWO = actions(1, 2)
PAYMASTER = Address(b"\x99" * 20)


class TestGas:
    def test_execution(self) -> None:
        assert call_gas(100, 3, LIMITS) == LIMITS.execution_gas + 100 + 3 * LIMITS.execution_gas_per_call

    def test_validation(self) -> None:
        assert verification_gas(3, LIMITS) == LIMITS.verification_gas + 3 * LIMITS.verification_gas_per_call

    def test_before_it(self) -> None:
        assert pre_verification_gas(3, LIMITS) == LIMITS.pre_verification_gas + 3 * LIMITS.pre_verification_gas_per_call


class TestTimes:
    def test_a_second_before_the_head_and_as_long_as_configured(self) -> None:
        assert times(head(0, timestamp=START + 10), scope_of(), LIMITS) == TIMES

    def test_never_before_the_session(self) -> None:
        assert times(head(0, timestamp=START), scope_of(), LIMITS) == (START, START + 90)

    @pytest.mark.parametrize(("left", "deadline"), [(89, 1800), (2, 1800), (1, 1800), (0, None), (-5, None)])
    def test_the_sessions_last_second_is_the_latest_deadline(self, left: int, deadline: int | None) -> None:
        found = times(head(0, timestamp=START + 1800 - left), scope_of(), LIMITS)
        assert (found and found[1]) == (None if deadline is None else START + deadline)

    def test_there_is_always_a_second_at_which_it_is_valid(self) -> None:
        for left in range(1, 100):
            found = times(head(0, timestamp=START + 1800 - left), scope_of(), LIMITS)
            assert found is not None
            assert isinstance(time_range(scope_of(), *found), tuple)

    def test_a_session_of_one_second(self) -> None:
        scope = scope_of(time=TimeFramePolicy(START, UnixSeconds(START + 1)))
        assert times(head(0, timestamp=START), scope, LIMITS) == (START, START + 1)


class TestPlan:
    def test_default(self) -> None:
        writer = codec(scope_of())
        call_data = writer.call_data(TWO, try_mode=True)
        planned = writer.plan(TWO, call_data, True, NonceSequence(5), TIMES, FEES)
        assert planned.sender == ACCOUNT
        assert planned.nonce == int.from_bytes(NONCE_KEY, "big") << 64 | 5
        assert planned.action_ids == (1, 2)
        assert (planned.claimed_at, planned.deadline) == TIMES
        assert planned.max_cost == 30 * (
            call_gas(100_000, 2, LIMITS) + verification_gas(2, LIMITS) + pre_verification_gas(2, LIMITS)
        )
        assert (planned.signature, planned.state) == (b"", "planned")

    def test_the_hash_is_that_of_what_is_submitted(self) -> None:
        writer = codec(scope_of())
        call_data = writer.call_data(TWO, try_mode=True)
        planned = writer.plan(TWO, call_data, True, NonceSequence(5), TIMES, FEES)
        submitted = writer.submission(replace(planned, signature=b"\x01" * 65), call_data)
        assert user_op_hash(submitted, EntryPointVersion.V07, ENTRY_POINT, ChainId(31337)) == planned.user_op_hash

    def test_calls_stand_in_lane_order(self) -> None:
        mode, calls = decode_execute(codec(scope_of()).call_data(TWO, try_mode=True))
        assert mode is Mode.BATCH_TRY
        assert list(calls) == [each.call for each in TWO]

    @pytest.mark.parametrize(
        ("count", "try_mode", "mode"),
        [(1, True, Mode.SINGLE_TRY), (1, False, Mode.SINGLE), (2, True, Mode.BATCH_TRY), (2, False, Mode.BATCH)],
    )
    def test_modes(self, count: int, try_mode: bool, mode: Mode) -> None:
        assert decode_execute(codec(scope_of()).call_data(TWO[:count], try_mode)).mode is mode

    def test_hints_are_one_byte_a_call(self) -> None:
        writer = codec(scope_of())
        hinted = actions(1, 2, hint=3)
        planned = writer.plan(hinted, b"", True, NonceSequence(0), TIMES, FEES)
        assert planned.places == b"\x03\x03"

    def test_calldata_bytes_cover_what_it_adds_to_a_bundle(self) -> None:
        writer = codec(scope_of())
        many = actions(*range(1, 33))
        call_data = writer.call_data(many, try_mode=True)
        planned = writer.plan(many, call_data, True, NonceSequence(0), TIMES, FEES)
        submitted = writer.submission(replace(planned, signature=b"\x01" * 65), call_data)
        assert planned.calldata_bytes >= len(pack_bundle_element(submitted, EntryPointVersion.V07)) + 32


class TestPaymaster:
    GAS = GasPolicy(Wei(10**18), Wei(10**17), PAYMASTER)
    SPONSOR = SponsorConfig()

    def planned(self) -> tuple[SessionCodec, Operation, bytes]:
        writer = codec(scope_of(gas=self.GAS))
        call_data = writer.call_data(TWO, try_mode=True)
        return writer, writer.plan(TWO, call_data, True, NonceSequence(5), TIMES, FEES), call_data

    def test_a_voucher_names_the_session_and_the_claimed_time(self) -> None:
        _, planned, _ = self.planned()
        assert (planned.paymaster, planned.paymaster_data) == (PAYMASTER, session_data(TIMES[0], PERMISSION))

    def test_its_gas_is_paid_by_the_session_too(self) -> None:
        _, planned, _ = self.planned()
        plain = codec(scope_of()).plan(TWO, b"", True, NonceSequence(5), TIMES, FEES)
        added = self.SPONSOR.verification_gas + self.SPONSOR.pre_verification_gas
        assert planned.max_cost - plain.max_cost == 30 * added
        assert operation_gas(planned) - operation_gas(plain) >= self.SPONSOR.verification_gas

    def test_the_hash_is_that_of_what_is_submitted(self) -> None:
        writer, planned, call_data = self.planned()
        submitted = writer.submission(replace(planned, signature=b"\x01" * 65), call_data)
        assert (submitted.paymaster, submitted.paymaster_post_op_gas_limit) == (PAYMASTER, 0)
        assert user_op_hash(submitted, EntryPointVersion.V07, ENTRY_POINT, ChainId(31337)) == planned.user_op_hash

    def test_calldata_bytes_cover_it(self) -> None:
        writer, planned, call_data = self.planned()
        submitted = writer.submission(replace(planned, signature=b"\x01" * 65), call_data)
        assert planned.calldata_bytes >= len(pack_bundle_element(submitted, EntryPointVersion.V07)) + 32

    def test_another_payer_sees_the_whole_operation(self) -> None:
        seen = []

        class Other:
            def data(self, op: UserOperation, times: tuple[UnixSeconds, UnixSeconds]) -> bytes:
                seen.append((op, times))
                return b"signed"

        scope = scope_of(gas=self.GAS)
        row = session(scope=scope.pack())
        writer = SessionCodec(row, scope, stack("reference"), LIMITS, payer=Other())
        planned = writer.plan(TWO, b"call data", True, NonceSequence(5), TIMES, FEES)
        assert planned.paymaster_data == b"signed"
        ((op, times),) = seen
        assert (op.call_data, op.paymaster, op.paymaster_data, times) == (b"call data", PAYMASTER, b"", TIMES)
        assert op.pre_verification_gas == planned.pre_verification_gas


class TestSubmission:
    def test_the_envelope_holds_what_was_signed(self) -> None:
        writer = codec(scope_of())
        call_data = writer.call_data(TWO, try_mode=True)
        planned = replace(writer.plan(TWO, call_data, True, NonceSequence(0), TIMES, FEES), signature=b"\x01" * 65)
        submitted = writer.submission(planned, call_data)
        envelope = decode_envelope(submitted.signature, 2)
        assert (envelope.claimed_at, envelope.deadline) == TIMES
        assert (envelope.signature, envelope.hints, envelope.scope) == (b"\x01" * 65, b"\0\0", scope_of().pack())
        assert submitted.call_data == call_data

    def test_the_digest_binds_operation_permission_and_times(self) -> None:
        writer = codec(scope_of())
        planned = writer.plan(TWO, b"", True, NonceSequence(0), TIMES, FEES)
        assert writer.digest(planned) == operation_digest(planned.user_op_hash, PERMISSION, *TIMES)

    def test_the_account_says_how_a_signature_looks(self) -> None:
        assert stack("reference").signature(b"envelope") == b"envelope"
