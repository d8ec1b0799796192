import pytest

from gamekit.core.sponsoring import (
    DEPOSIT,
    GAME_CAP,
    NO_VOUCHER,
    PLAYER_CAP,
    SESSION_LIMIT,
    SIGNATURE,
    VOUCHER,
    Sponsoring,
    Stop,
    Stops,
    is_over,
    rejection,
    revert_text,
)
from gamekit.errors import OperationRejected, Outcome, PaymasterRejected, SponsorshipExhausted
from gamekit.eth.entry_point import FailedOp
from gamekit.eth.session_paymaster import SESSION_PAYMASTER, GameRecord
from gamekit.eth.session_validator_abi import SESSION_VALIDATOR
from gamekit.eth.validation_code import validation_code
from gamekit.units import Address, PermissionId, UnixSeconds, Wei
from tests.core.rows import PERMISSION, session
from tests.core.scopes import ACCOUNT

PAYMASTER, OTHER = Address(b"\x99" * 20), Address(b"\x98" * 20)
DAY_S = 86_400
NOON = UnixSeconds(20_000 * DAY_S + DAY_S // 2)
COST = Wei(1000)


def failed(reason: str, inner: bytes = b"") -> FailedOp:
    return FailedOp(0, reason, validation_code(reason), inner)


def revert(name: str, *values: object) -> bytes:
    error = next(each for each in SESSION_PAYMASTER.errors.values() if each.name == name)
    return error.encode(*values)


def refused(name: str, *values: object) -> PaymasterRejected:
    error = rejection(failed("AA33 reverted", revert(name, *values)))
    assert isinstance(error, PaymasterRejected)
    return error


REFUSALS = {
    GAME_CAP: refused(GAME_CAP, 7, 500, 400),
    PLAYER_CAP: refused(PLAYER_CAP, ACCOUNT, 500, 400),
    SESSION_LIMIT: refused(SESSION_LIMIT, 500, 400),
    NO_VOUCHER: refused(NO_VOUCHER, PERMISSION, 1, 2),
}


class TestRejection:
    def test_the_paymasters_own_error(self) -> None:
        error = refused(GAME_CAP, 7, 500, 400)
        assert error.compared == {"aa_code": "AA33", "reason": GAME_CAP, "asked": 500, "limit": 400}
        assert str(error) == "AA33 reverted: GameDayCapExceeded(game=7, spentWei=500, dayWeiMax=400)"
        assert error.outcome is Outcome.RETRY

    def test_of_the_entry_point_alone(self) -> None:
        error = rejection(failed("AA31 paymaster deposit too low"))
        assert isinstance(error, PaymasterRejected)
        assert error.compared == {"aa_code": "AA31", "reason": ""}

    def test_an_error_that_nobody_knows(self) -> None:
        error = rejection(failed("AA33 reverted", b"\xde\xad\xbe\xef"))
        assert str(error) == "AA33 reverted: an unknown error, 0xdeadbeef"
        assert error.compared["reason"] == ""

    def test_amounts_are_named_whichever_stands_first(self) -> None:
        error = refused("SessionNotCharged", 5, 1000)
        assert (error.compared["asked"], error.compared["limit"]) == (1000, 5)

    def test_the_accounts_fault_is_another(self) -> None:
        inner = next(each for each in SESSION_VALIDATOR.errors.values() if each.name == "UsesExceeded").encode(3, 2)
        error = rejection(failed("AA23 reverted", inner))
        assert type(error) is OperationRejected
        assert str(error) == "AA23 reverted: UsesExceeded(uses=3, usesMax=2)"
        assert str(rejection(failed("AA24 signature error"))) == "AA24 signature error"

    def test_a_reason_without_a_code(self) -> None:
        error = rejection(failed("the bundle reverted and named no operation", b""))
        assert type(error) is OperationRejected
        assert error.compared["aa_code"] == ""

    def test_bytes_are_hexadecimal(self) -> None:
        told = revert_text(SESSION_PAYMASTER.decode_revert(revert(NO_VOUCHER, PERMISSION, 1, 2)))
        assert told == f"SessionNotSponsored(permissionId=0x{PERMISSION.hex()}, generation=1, gameGeneration=2)"


class TestStops:
    def test_none(self) -> None:
        stops = Stops()
        assert not stops
        assert stops.find(session(), PAYMASTER, NOON) is None

    def test_a_session_without_a_paymaster_has_none(self) -> None:
        stops = noted(GAME_CAP)
        assert stops.find(session(), None, NOON) is None

    @pytest.mark.parametrize("reason", REFUSALS)
    def test_what_is_told(self, reason: str) -> None:
        stop = noted(reason).find(session(), PAYMASTER, NOON)
        assert stop is not None
        error = stop.error()
        assert isinstance(error, SponsorshipExhausted)
        asked, limit = (COST, 0) if reason == NO_VOUCHER else (500, 400)
        assert error.compared == {"reason": reason, "asked": asked, "limit": limit}
        assert reason in str(error)

    def test_whom_it_concerns(self) -> None:
        elsewhere = {"permission_id": PermissionId(b"\x01" * 32), "account": Address(b"\xad" * 20)}
        same_player = session(permission_id=PermissionId(b"\x01" * 32))
        same_game, other_game = session(**elsewhere), session(**elsewhere, game="chess")
        found = {
            reason: [
                noted(reason).find(each, PAYMASTER, NOON) is not None
                for each in (session(), same_player, same_game, other_game)
            ]
            for reason in (SESSION_LIMIT, NO_VOUCHER, PLAYER_CAP, GAME_CAP, DEPOSIT)
        }
        assert found == {
            SESSION_LIMIT: [True, False, False, False],
            NO_VOUCHER: [True, False, False, False],
            PLAYER_CAP: [True, True, False, False],
            GAME_CAP: [True, True, True, False],
            DEPOSIT: [True, True, True, True],
        }

    def test_another_paymaster_is_not_concerned(self) -> None:
        for reason in (PLAYER_CAP, GAME_CAP, DEPOSIT):
            assert noted(reason).find(session(), OTHER, NOON) is None

    def test_caps_of_a_day_end_with_it(self) -> None:
        midnight = UnixSeconds(20_001 * DAY_S)
        for reason in (GAME_CAP, PLAYER_CAP):
            stops = noted(reason)
            assert stops.find(session(), PAYMASTER, UnixSeconds(midnight - 1)) is not None
            assert stops.find(session(), PAYMASTER, midnight) is None
            assert not stops
        for reason in (SESSION_LIMIT, NO_VOUCHER, DEPOSIT):
            assert noted(reason).find(session(), PAYMASTER, UnixSeconds(midnight + DAY_S)) is not None

    def test_a_refusal_that_says_nothing_about_the_next(self) -> None:
        stops = Stops()
        error = refused("SessionNotCharged", 0, 1)
        assert stops.note(session(), PAYMASTER, COST, error, NOON) is None
        late = rejection(failed("AA32 paymaster expired or not due"))
        assert isinstance(late, PaymasterRejected)
        assert stops.note(session(), PAYMASTER, COST, late, NOON) is None
        assert not stops

    def test_end(self) -> None:
        stops = noted(GAME_CAP)
        (stop,) = stops
        stops.end(stop)
        stops.end(stop)
        assert not stops

    def test_those_of_one_session_say_so(self) -> None:
        assert [stop.permission_id for stop in noted(SESSION_LIMIT)] == [PERMISSION]
        assert [stop.permission_id for stop in noted(GAME_CAP)] == [None]


class TestIsOver:
    @pytest.mark.parametrize(("cap", "over"), [(499, False), (500, True)])
    def test_caps(self, cap: int, over: bool) -> None:
        assert is_over(the(GAME_CAP), game(day_wei_max=cap), Wei(0)) is over
        assert is_over(the(PLAYER_CAP), game(player_day_wei_max=cap), Wei(0)) is over

    @pytest.mark.parametrize(("deposit", "over"), [(COST - 1, False), (COST, True)])
    def test_deposit(self, deposit: int, over: bool) -> None:
        assert is_over(the(DEPOSIT), game(), Wei(deposit)) is over

    def test_a_sessions_limit_never(self) -> None:
        assert not is_over(the(SESSION_LIMIT), game(day_wei_max=10**30, player_day_wei_max=10**30), Wei(10**30))


def test_sponsoring_default() -> None:
    assert Sponsoring(True, Wei(1)).by == SIGNATURE
    assert Sponsoring(False, Wei(1)).by == VOUCHER


def noted(reason: str) -> Stops:
    stops = Stops()
    error = rejection(failed("AA31 paymaster deposit too low")) if reason == DEPOSIT else REFUSALS[reason]
    assert isinstance(error, PaymasterRejected)
    assert stops.note(session(), PAYMASTER, COST, error, NOON) is not None
    return stops


def the(reason: str) -> Stop:
    (stop,) = noted(reason)
    return stop


def game(day_wei_max: int = 0, player_day_wei_max: int = 0) -> GameRecord:
    return GameRecord(1, 20_000, Wei(0), Wei(day_wei_max), PAYMASTER, Wei(player_day_wei_max), Wei(0))
