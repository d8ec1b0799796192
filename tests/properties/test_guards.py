"""The guards of the journal, whatever rows follow each other."""

from hypothesis import given
from hypothesis import strategies as st

from gamekit.core import session as sessions
from gamekit.core.session import Session
from gamekit.core.tracking import (
    CONSUMED,
    DEAD,
    EXPIRED,
    FINAL,
    FOREIGN,
    INCLUDED,
    LIVE,
    PLANNED,
    SENT,
    SIGNED,
    SUPERSEDED,
    Operation,
    Slot,
)
from tests.core.rows import operation, session, slot

slots = st.builds(
    lambda state, ids: slot(state=state, action_ids=ids),
    st.sampled_from([LIVE, CONSUMED, EXPIRED]),
    st.sampled_from([(1,), (2,), (1, 2), (2, 1)]),
)
operations = st.builds(
    lambda state, signature: operation(state=state, signature=signature),
    st.sampled_from([PLANNED, SIGNED, SENT, INCLUDED, FINAL, DEAD, FOREIGN, SUPERSEDED]),
    st.sampled_from([b"", b"s", b"t"]),
)
states = st.sampled_from(
    [sessions.PROPOSED, sessions.GRANTING, sessions.OPEN, sessions.REVOKING, sessions.REVOKED, sessions.EXPIRED,
     sessions.LAPSED]
)  # fmt: skip


@given(st.lists(slots, min_size=1, max_size=8))
def test_the_set_of_a_slot_changes_only_behind_its_expiry(rows: list[Slot]) -> None:
    stored: Slot | None = None
    for row in rows:
        if row.admit(stored):
            continue
        if stored is not None and stored.action_ids != row.action_ids:
            assert stored.state == EXPIRED
        stored = row


@given(st.lists(operations, min_size=1, max_size=8))
def test_a_signature_changes_only_behind_death_and_final_stays(rows: list[Operation]) -> None:
    stored: Operation | None = None
    for row in rows:
        if row.admit(stored):
            continue
        if stored is not None:
            assert row.signature == stored.signature or not stored.signature or stored.state == DEAD
            assert stored.state != FINAL or row.state == FINAL
        stored = row


@given(st.lists(states, min_size=1, max_size=8))
def test_a_session_that_has_ended_never_plays_again(found: list[str]) -> None:
    stored: Session | None = None
    ended = False
    for state in found:
        row = session(state=state)
        if row.admit(stored):
            continue
        ended = ended or state == sessions.REVOKING or state in sessions.ENDED
        assert not (ended and state == sessions.OPEN)
        stored = row
