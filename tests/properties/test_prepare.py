from hypothesis import given
from hypothesis import strategies as st

from gamekit.config import BatchConfig
from gamekit.core.policy import TimeFramePolicy
from gamekit.core.prepare import times
from gamekit.core.usage import time_range
from gamekit.units import UnixSeconds
from tests.core.rows import head
from tests.core.scopes import START, scope_of


@given(st.integers(0, 300), st.integers(1, 300), st.integers(0, 700), st.integers(1, 200))
def test_times_lie_inside_the_session_and_around_the_next_block(
    after: int, length: int, now: int, deadline_s: int
) -> None:
    frame = TimeFramePolicy(UnixSeconds(START + after), UnixSeconds(START + after + length))
    scope = scope_of(time=frame)
    found = times(head(0, timestamp=START + now), scope, BatchConfig(deadline_s=deadline_s))
    if found is None:
        # Nothing is left: the session's last second has come, or the operation would be dead with the next block.
        assert START + now >= frame.valid_until or deadline_s == 1
        return
    claimed_at, deadline = found
    assert frame.valid_after <= claimed_at < deadline <= frame.valid_until
    assert START + now < deadline <= claimed_at + deadline_s
    assert isinstance(time_range(scope, claimed_at, deadline), tuple)
