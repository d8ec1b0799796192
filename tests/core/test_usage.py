import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gamekit.core.policy import (
    Denied,
    GasPolicy,
    RateLimitPolicy,
    SpendingLimitPolicy,
    TimeFramePolicy,
    UsageLimitPolicy,
    ValueLimitPolicy,
)
from gamekit.core.scope import Scope
from gamekit.core.usage import (
    GAS_FIELD_MAX,
    Usage,
    admissible_at,
    admissible_calls,
    charge,
    max_cost,
    paymaster_denial,
    stored_usage,
    time_range,
)
from gamekit.eth.session_validator_abi import SessionRecord, SessionState
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Gas, UnixSeconds, Wei
from tests.core.scopes import MOVE, PAYMASTER, SIGNER, START, entry, scope_of

NOW = UnixSeconds(START + 100)


def charged(
    scope: Scope,
    usage: Usage = Usage(),  # noqa: B008 - frozen
    *,
    at: int = NOW,
    calls: int = 1,
    value: int = 0,
    lanes: tuple[int, int] = (0, 0),
    cost: int = 1,
) -> Usage | Denied:
    return charge(scope, usage, UnixSeconds(at), calls, Wei(value), lanes, Wei(cost))


def policy_of(result: Usage | Denied) -> str:
    return result.policy if isinstance(result, Denied) else ""


class TestCharge:
    def test_default(self) -> None:
        assert charged(scope_of(), calls=3, cost=7) == Usage(3, NOW * 1000 + 150, Wei(7))

    def test_behavior_adds_to_what_was_used(self) -> None:
        before = Usage(10, NOW * 1000 + 500, Wei(70), Wei(1), (0, 4))
        spent = SpendingLimitPolicy(0, 9, 1)
        scope = scope_of(entry(MOVE, spent), value=ValueLimitPolicy(Wei(2), Wei(3)))
        after = charged(scope, before, calls=2, value=2, lanes=(0, 5), cost=7)
        assert after == Usage(12, NOW * 1000 + 600, Wei(77), Wei(3), (0, 9))

    @pytest.mark.parametrize("calls", [0, 33, -1])
    def test_error_calls_of_one_operation(self, calls: int) -> None:
        assert policy_of(charged(scope_of(), calls=calls)) == "CallPolicy"

    def test_error_uses(self) -> None:
        scope = scope_of(usage=UsageLimitPolicy(10))
        assert policy_of(charged(scope, Usage(uses=9))) == ""
        assert charged(scope, Usage(uses=9), calls=2) == Denied(
            "UsageLimitPolicy", 10, 11, "the session may make 10 calls in all"
        )

    def test_error_rate(self) -> None:
        scope = scope_of(rate=RateLimitPolicy(50, 32))
        full = charged(scope, calls=32)
        assert isinstance(full, Usage)
        assert charged(scope, full) == Denied(
            "RateLimitPolicy", 1600, 1650, "too many calls in too short a time, in milliseconds"
        )
        assert policy_of(charged(scope, full, at=NOW + 1, calls=20)) == ""
        assert policy_of(charged(scope, full, at=NOW + 1, calls=21)) == "RateLimitPolicy"

    def test_behavior_no_rate(self) -> None:
        assert charged(scope_of(rate=None), calls=32) == Usage(32, 0, Wei(1))

    def test_behavior_an_old_claim_gains_nothing(self) -> None:
        full = charged(scope_of(), calls=32)
        assert isinstance(full, Usage)
        assert admissible_calls(scope_of(), full, UnixSeconds(NOW - 60)) == 0

    def test_error_gas(self) -> None:
        scope = scope_of(gas=GasPolicy(Wei(100), Wei(60)))
        assert policy_of(charged(scope, cost=60)) == ""
        assert charged(scope, cost=61) == Denied("GasPolicy", 60, 61, "one operation may cost at most 60 wei")
        assert policy_of(charged(scope, Usage(gas_spent_wei=Wei(40)), cost=60)) == ""
        spent = charged(scope, Usage(gas_spent_wei=Wei(41)), cost=60)
        assert spent == Denied("GasPolicy", 100, 101, "the session may burn 100 wei of gas in all")

    def test_error_value(self) -> None:
        scope = scope_of(value=ValueLimitPolicy(Wei(5), Wei(9)))
        assert policy_of(charged(scope, Usage(value_spent_wei=Wei(4)), value=5)) == ""
        assert policy_of(charged(scope, Usage(value_spent_wei=Wei(5)), value=5)) == "ValueLimitPolicy"
        assert policy_of(charged(scope_of(), value=1)) == "ValueLimitPolicy"

    def test_error_spending(self) -> None:
        scope = scope_of(entry(MOVE, SpendingLimitPolicy(0, 9, 1)))
        assert policy_of(charged(scope, Usage(lane_amounts=(0, 4)), lanes=(0, 5))) == ""
        assert policy_of(charged(scope, Usage(lane_amounts=(0, 5)), lanes=(0, 5))) == "SpendingLimitPolicy"
        assert policy_of(charged(scope, lanes=(1, 0))) == "SpendingLimitPolicy"

    def test_error_the_clock_never_leaves_48_bits(self) -> None:
        assert policy_of(charged(scope_of(), at=2**48 // 1000 + 1)) == "RateLimitPolicy"


paces = st.builds(RateLimitPolicy, interval_ms=st.integers(1, 5000), burst=st.integers(32, 200))
moments = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 32)), max_size=30)


class TestAdmissible:
    @given(paces, moments, st.integers(0, 40))
    def test_behavior_exactly_what_charge_takes(
        self, pace: RateLimitPolicy, moments: list[tuple[int, int]], more: int
    ) -> None:
        scope, usage, now = scope_of(rate=pace, usage=UsageLimitPolicy(300)), Usage(), int(NOW)
        for step, calls in moments:
            now += step
            most = admissible_calls(scope, usage, UnixSeconds(now))
            after = charged(scope, usage, at=now, calls=calls)
            assert isinstance(after, Usage) == (calls <= most)
            usage = after if isinstance(after, Usage) else usage
        assert 0 <= admissible_calls(scope, usage, UnixSeconds(now + more)) <= 32

    @given(paces, moments, st.integers(1, 32))
    def test_behavior_admissible_at_is_the_first_such_second(
        self, pace: RateLimitPolicy, moments: list[tuple[int, int]], calls: int
    ) -> None:
        scope, usage, now = scope_of(rate=pace, usage=UsageLimitPolicy(2**32 - 1)), Usage(), int(NOW)
        for step, taken in moments:
            now += step
            after = charged(scope, usage, at=now, calls=taken)
            usage = after if isinstance(after, Usage) else usage
        first = admissible_at(scope, usage, calls)
        assert admissible_calls(scope, usage, first) >= calls
        assert first == scope.time.valid_after or admissible_calls(scope, usage, UnixSeconds(first - 1)) < calls

    @given(paces, moments)
    def test_behavior_the_stated_bound_holds(self, pace: RateLimitPolicy, moments: list[tuple[int, int]]) -> None:
        """No window sees more than the burst and what refills in it."""
        scope, usage, now = scope_of(rate=pace, usage=UsageLimitPolicy(2**32 - 1)), Usage(), int(NOW)
        taken: list[tuple[int, int]] = []
        for step, calls in moments:
            now += step
            after = charged(scope, usage, at=now, calls=calls)
            if isinstance(after, Usage):
                usage = after
                taken.append((now, calls))
        for start, _ in taken:
            for window in (0, 1, 10, 60):
                within = sum(calls for at, calls in taken if start <= at <= start + window)
                assert within <= pace.burst + window * 1000 // pace.interval_ms

    def test_args_no_rate(self) -> None:
        scope = scope_of(rate=None)
        assert admissible_calls(scope, Usage(uses=990), NOW) == 10
        assert admissible_at(scope, Usage(arrival_ms=2**47), 5) == START

    def test_behavior_never_below_zero(self) -> None:
        assert admissible_calls(scope_of(), Usage(uses=2000), NOW) == 0


class TestMaxCost:
    def test_default(self) -> None:
        op = UserOperation(
            sender=SIGNER,
            nonce=0,
            call_data=b"",
            call_gas_limit=Gas(1),
            verification_gas_limit=Gas(20),
            pre_verification_gas=Gas(300),
            max_fee_per_gas=Wei(7),
            max_priority_fee_per_gas=Wei(1),
            paymaster=PAYMASTER,
            paymaster_verification_gas_limit=Gas(4000),
            paymaster_post_op_gas_limit=Gas(50_000),
        )
        assert max_cost(op) == 54_321 * 7

    @pytest.mark.parametrize(
        "name",
        [
            "call_gas_limit",
            "verification_gas_limit",
            "pre_verification_gas",
            "paymaster_verification_gas_limit",
            "paymaster_post_op_gas_limit",
            "max_fee_per_gas",
        ],
    )
    def test_error_a_number_that_no_entry_point_admits(self, name: str) -> None:
        """Also where it would cost nothing: the contract refuses it first, as the entry point does."""
        free = UserOperation(
            sender=SIGNER,
            nonce=0,
            call_data=b"",
            call_gas_limit=Gas(0),
            verification_gas_limit=Gas(0),
            pre_verification_gas=Gas(0),
            max_fee_per_gas=Wei(0),
            max_priority_fee_per_gas=Wei(0),
        )
        assert max_cost(replace(free, **{name: GAS_FIELD_MAX})) == 0
        denied = max_cost(replace(free, **{name: GAS_FIELD_MAX + 1}))
        assert isinstance(denied, Denied)
        assert (denied.policy, denied.asked) == ("GasPolicy", 1 << 120)


class TestPaymasterDenial:
    def test_default(self) -> None:
        sponsored = scope_of(gas=GasPolicy(Wei(5), Wei(5), PAYMASTER))
        assert paymaster_denial(scope_of(), None) is None
        assert paymaster_denial(sponsored, PAYMASTER) is None

    def test_error_another_or_left_out(self) -> None:
        sponsored = scope_of(gas=GasPolicy(Wei(5), Wei(5), PAYMASTER))
        wanted = f"0x{PAYMASTER.hex()}"
        assert paymaster_denial(sponsored, None) == Denied(
            "GasPolicy", wanted, "none", f"the paymaster must be {wanted}"
        )
        assert isinstance(paymaster_denial(sponsored, SIGNER), Denied)
        assert paymaster_denial(scope_of(), PAYMASTER) == Denied(
            "GasPolicy", "none", wanted, "the paymaster must be none"
        )


class TestTimeRange:
    @pytest.mark.parametrize(
        ("claimed_at", "deadline", "expected"),
        [
            (START + 10, START + 100, (START + 10, START + 100)),
            (START + 10, START + 1000, (START + 10, START + 130)),
            (START - 50, START + 1000, (START, START + 70)),
            (START + 1790, START + 9999, (START + 1790, START + 1800)),
        ],
        ids=["deadline", "slack", "session start", "session end"],
    )
    def test_default(self, claimed_at: int, deadline: int, expected: tuple[int, int]) -> None:
        assert time_range(scope_of(), UnixSeconds(claimed_at), UnixSeconds(deadline)) == expected

    @pytest.mark.parametrize(
        ("claimed_at", "deadline"),
        [(START + 10, START + 10), (START + 10, START + 9), (START + 1800, START + 1900), (START - 120, START + 50)],
    )
    def test_error_empty(self, claimed_at: int, deadline: int) -> None:
        assert isinstance(time_range(scope_of(), UnixSeconds(claimed_at), UnixSeconds(deadline)), Denied)

    def test_behavior_a_session_of_one_second(self) -> None:
        scope = scope_of(time=TimeFramePolicy(START, UnixSeconds(START + 1)))
        assert time_range(scope, START, NOW) == (START, START + 1)


class TestStoredUsage:
    RECORD = SessionRecord(SessionState.LIVE, 1, 5, 77, Wei(9), 11, 13)

    def test_default(self) -> None:
        assert stored_usage(scope_of(), self.RECORD) == Usage(5, 77, Wei(9), Wei(0), (11, 13))

    def test_args_value_counts_on_lane_0(self) -> None:
        scope = scope_of(value=ValueLimitPolicy(Wei(1), Wei(50)))
        assert stored_usage(scope, self.RECORD) == Usage(5, 77, Wei(9), Wei(11), (0, 13))
