import pytest

from gamekit.accounts import stack
from gamekit.accounts.reference import TRY_EXECUTE_FAIL, ReferenceStack
from gamekit.accounts.stack import CallOutcome as StackOutcome
from gamekit.core.game import Game, build_game
from gamekit.core.manifest import parse_manifest
from gamekit.core.receipt import ERROR_LENGTH_MAX, included, inclusions, outcomes, told_outcomes
from gamekit.core.tracking import INCLUDED, CallOutcome, Operation
from gamekit.eth.abi import encode
from gamekit.eth.abi_text import parse_type
from gamekit.eth.block import Log, TransactionReceipt
from gamekit.eth.calldata import Mode, execute_batch
from gamekit.eth.entry_point import REVERT_REASON, USER_OPERATION_EVENT
from gamekit.eth.interface import CustomError
from gamekit.units import Address, BlockHash, BlockNumber, Gas, Hash32, Wei
from tests.core.rows import ENTRY_POINT, actions, operation
from tests.core.scopes import ACCOUNT
from tests.core.towns import FULL, town

MANIFEST = """
name = "arena"
chain_id = 31337
address = "0x6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a"
abi = "none"
[function]
[unit]
"""
NO_STAMINA = CustomError.parse("NoStamina(uint256 strength,bytes4 why)")
SAYS = CustomError.parse("Says(string text)")
TWO = actions(1, 2)
CALL_DATA = execute_batch(Mode.BATCH_TRY, [each.call for each in TWO])
REFERENCE = stack("reference")


def game() -> Game:
    errors = [("NoStamina", [("strength", "uint256"), ("why", "bytes4")]), ("Says", [("text", "string")])]
    abi = [
        {"type": "error", "name": name, "inputs": [{"name": each, "type": kind} for each, kind in inputs]}
        for name, inputs in errors
    ]
    return build_game(parse_manifest(MANIFEST), abi)


def event(one: Operation, *, success: bool = True, address: Address = ENTRY_POINT) -> Log:
    data = encode([parse_type("uint256")] * 4, (one.nonce, int(success), 77, 99))
    topics = (USER_OPERATION_EVENT.topic, one.user_op_hash, one.sender.rjust(32, b"\0"), bytes(32))
    return Log(address, tuple(map(Hash32, topics)), data, 0)


def failure(place: int, data: bytes, account: Address = ACCOUNT) -> Log:
    body = encode([parse_type("uint256"), parse_type("bytes")], (place, data))
    return Log(account, (TRY_EXECUTE_FAIL.topic,), body, 0)


def receipt(*logs: Log, succeeded: bool = True) -> TransactionReceipt:
    return TransactionReceipt(
        Hash32(b"\x01" * 32),
        BlockHash(b"\x02" * 32),
        BlockNumber(7),
        Address(b"\x03" * 20),
        ENTRY_POINT,
        succeeded,
        Gas(1),
        Wei(1),
        logs,
    )


ONE = operation(1, action_ids=(1, 2))


def told(*logs: Log, success: bool = True, one: Operation = ONE) -> tuple[CallOutcome, ...]:
    (found,) = inclusions([receipt(*logs, event(one, success=success))], frozenset({ENTRY_POINT}))
    return outcomes(one, CALL_DATA, told_outcomes(one, CALL_DATA, found, REFERENCE), game())


class TestInclusions:
    def test_every_operation_of_every_transaction(self) -> None:
        one, other = operation(1), operation(2)
        found = inclusions([receipt(event(one), event(other)), receipt(event(one))], frozenset({ENTRY_POINT}))
        assert [each.logs.event.user_op_hash for each in found] == [
            one.user_op_hash,
            other.user_op_hash,
            one.user_op_hash,
        ]

    def test_another_contract_may_emit_the_same(self) -> None:
        fake = event(operation(1), address=Address(b"\x66" * 20))
        assert inclusions([receipt(fake)], frozenset({ENTRY_POINT})) == []

    def test_a_reverted_transaction_includes_nothing(self) -> None:
        assert inclusions([receipt(event(operation(1)), succeeded=False)], frozenset({ENTRY_POINT})) == []

    def test_of_two_entry_points(self) -> None:
        second = Address(b"\x08" * 20)
        found = inclusions(
            [receipt(event(operation(1)), event(operation(2), address=second))], frozenset({ENTRY_POINT, second})
        )
        assert {each.entry_point for each in found} == {ENTRY_POINT, second}


class TestIncluded:
    def test_says_where_and_at_what_price(self) -> None:
        (found,) = inclusions([receipt(event(ONE))], frozenset({ENTRY_POINT}))
        one = included(ONE, CALL_DATA, found, REFERENCE, game())
        assert one.state == INCLUDED
        assert (one.transaction_hash, one.block_hash, one.block_number) == (b"\x01" * 32, b"\x02" * 32, 7)
        assert (one.succeeded, one.actual_gas_cost, one.actual_gas_used) == (True, 77, 99)
        assert one.outcomes == (CallOutcome(True), CallOutcome(True))


class TestOutcomes:
    def test_a_failed_call_leaves_the_others(self) -> None:
        revert = NO_STAMINA.encode(9, b"\xde\xad\xbe\xef")
        assert told(failure(1, revert)) == (
            CallOutcome(True),
            CallOutcome(False, "NoStamina(strength=9, why=0xdeadbeef)"),
        )

    def test_each_contract_says_it_in_its_own_words(self) -> None:
        called = execute_batch(Mode.BATCH_TRY, [town().encode("play1", [1]), town().encode("bank.play1", [1])])
        known = [StackOutcome(False, FULL.encode(7))] * 2
        assert [each.error for each in outcomes(ONE, called, known, town())] == ["Full(square=7)", "Full(vault=7)"]

    def test_a_failed_execution_fails_all(self) -> None:
        body = encode([parse_type("uint256"), parse_type("bytes")], (ONE.nonce, SAYS.encode("no")))
        topics = (REVERT_REASON.topic, ONE.user_op_hash, ONE.sender.rjust(32, b"\0"))
        reason = Log(ENTRY_POINT, tuple(map(Hash32, topics)), body, 0)
        assert told(reason, success=False) == (CallOutcome(False, "Says(text=no)"),) * 2

    @pytest.mark.parametrize(
        ("data", "error"),
        [
            (b"", "out_of_gas_or_empty_revert"),
            (b"\xab\xcd\xef\x01\x02", "unknown error abcdef01"),
            (NO_STAMINA.selector + b"\x01", f"unknown error {NO_STAMINA.selector.hex()}"),
        ],
    )
    def test_what_the_games_abi_does_not_name(self, data: bytes, error: str) -> None:
        assert told(failure(0, data))[0].error == error

    def test_a_long_error_is_cut(self) -> None:
        error = told(failure(0, SAYS.encode("x" * 10_000)))[0].error
        assert len(error) == ERROR_LENGTH_MAX
        assert error.endswith("x…")

    def test_events_of_others_say_nothing(self) -> None:
        assert told(failure(0, b"", Address(b"\x66" * 20))) == (CallOutcome(True), CallOutcome(True))

    @pytest.mark.parametrize("nonsense", [failure(2, b""), Log(ACCOUNT, (TRY_EXECUTE_FAIL.topic,), b"\xff", 0)])
    def test_an_account_that_reports_nonsense_is_unreadable(self, nonsense: Log) -> None:
        assert told(nonsense) == (CallOutcome(False, "unreadable"),) * 2

    def test_what_no_event_explains_is_unknown(self) -> None:
        (found,) = inclusions([receipt(event(ONE))], frozenset({ENTRY_POINT}))
        assert outcomes(ONE, CALL_DATA, told_outcomes(ONE, CALL_DATA, found, Silent()), game()) == (
            CallOutcome(False, "unknown", True),
        )


class Silent(ReferenceStack):
    """An account whose events do not say why a call failed."""

    def call_outcomes(self, *_: object, **__: object) -> tuple[StackOutcome, ...]:
        return (StackOutcome(False, None, inferred=True),)
