import pytest
from msgspec.structs import replace

from gamekit.core.session import (
    ENDED,
    EXPIRED,
    GRANTING,
    LAPSED,
    OPEN,
    PROPOSED,
    REVOKED,
    REVOKING,
    Account,
    ended_error,
    key_binding,
)
from gamekit.errors import AuthorizationSpent, SessionNotFound
from gamekit.units import Address, ChainId, PlayerId
from tests.core.rows import ENTRY_POINT, MODULE, NONCE_KEY, session
from tests.core.scopes import ACCOUNT, REVOKER, SIGNER


class TestAdmit:
    def test_a_new_one(self) -> None:
        assert session().admit(None) == ""

    @pytest.mark.parametrize("changes", [{"signer": REVOKER}, {"scope": b"wider"}, {"account": Address(b"\x66" * 20)}])
    def test_key_scope_and_account_never_change(self, changes: dict[str, object]) -> None:
        assert "another key, scope or account" in session(**changes).admit(session())

    @pytest.mark.parametrize("ended", [REVOKING, REVOKED])
    @pytest.mark.parametrize("state", [PROPOSED, GRANTING, OPEN])
    def test_what_was_revoked_never_opens_again(self, ended: str, state: str) -> None:
        refusal = session(state=state).admit(session(state=ended))
        assert f"is {ended} and cannot become {state}" in refusal

    @pytest.mark.parametrize("ended", [EXPIRED, LAPSED])
    @pytest.mark.parametrize("state", [PROPOSED, GRANTING, OPEN])
    def test_nor_what_has_ended_by_its_time(self, ended: str, state: str) -> None:
        refusal = session(state=state).admit(session(state=ended))
        assert f"is {ended} and cannot become {state}" in refusal

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (PROPOSED, GRANTING),
            (GRANTING, OPEN),
            (OPEN, GRANTING),
            (OPEN, REVOKING),
            (REVOKING, REVOKED),
            (REVOKED, REVOKING),
            (OPEN, EXPIRED),
            (PROPOSED, LAPSED),
        ],
    )
    def test_its_way(self, before: str, after: str) -> None:
        assert session(state=after).admit(session(state=before)) == ""


def test_a_session_moves() -> None:
    assert session().moved(REVOKED, revoked_at_block=5) == replace(session(), state=REVOKED, revoked_at_block=5)


def test_the_nonce_key_is_a_number() -> None:
    assert session().key == int.from_bytes(NONCE_KEY, "big")


def test_ended() -> None:
    assert {REVOKED, EXPIRED, LAPSED} == ENDED


def account(**changes: object) -> Account:
    plain = Account(ACCOUNT, PlayerId("alice"), ChainId(31337), "reference", "0.7", REVOKER, MODULE, b"")
    return replace(plain, **changes)


class TestKeyBinding:
    BOUND = key_binding(account(), MODULE, ENTRY_POINT, SIGNER)

    def test_it_ends_with_the_key_that_it_binds(self) -> None:
        assert self.BOUND.endswith(SIGNER)

    @pytest.mark.parametrize(
        "other",
        [
            key_binding(account(chain_id=ChainId(1)), MODULE, ENTRY_POINT, SIGNER),
            key_binding(account(address=REVOKER), MODULE, ENTRY_POINT, SIGNER),
            key_binding(account(), REVOKER, ENTRY_POINT, SIGNER),
            key_binding(account(), MODULE, REVOKER, SIGNER),
            key_binding(account(), MODULE, ENTRY_POINT, REVOKER),
        ],
    )
    def test_another_place_is_another_binding(self, other: bytes) -> None:
        assert other != self.BOUND
        assert len(other) == len(self.BOUND)


def test_an_end_says_why() -> None:
    expired, lapsed = (
        session(state=EXPIRED, ended_reason="its time passed"),
        session(state=LAPSED, ended_reason="nonce 0"),
    )
    spent = replace(lapsed, ended_code="authorization_spent")
    assert type(ended_error(expired)) is type(ended_error(lapsed)) is SessionNotFound
    assert str(ended_error(expired)) == "the session is expired: its time passed"
    assert (type(ended_error(spent)), str(ended_error(spent))) == (AuthorizationSpent, "nonce 0")
