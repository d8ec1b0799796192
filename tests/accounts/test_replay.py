"""Replays against a contract that is written down here: which calls fail, and what they revert with."""

from collections.abc import Sequence
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.accounts.nexus import NexusStack
from gamekit.accounts.replay import Question, is_told, replay
from gamekit.accounts.safe7579 import Safe7579Stack
from gamekit.accounts.stack import CallOutcome
from gamekit.eth.calldata import Call, decode_execute
from gamekit.units import Address, Wei

STACK = Safe7579Stack()
ACCOUNT, GAME, ENTRY_POINT = Address(b"\xac" * 20), Address(b"\x6a" * 20), Address(b"\xe7" * 20)
OK, UNTOLD = CallOutcome(True), CallOutcome(True, inferred=True)


class Node:
    """Answers as a chain would on which calls with these places fail; each call carries its place."""

    def __init__(self, failing: Sequence[int], *, forgetful: bool = False) -> None:
        self.failing = failing
        self.forgetful = forgetful
        """Whether a call that fails in its batch succeeds by itself."""
        self.asked: list[Question] = []

    def answer(self, question: Question) -> bytes | None:
        self.asked.append(question)
        if question.to == GAME:
            assert question.sender == ACCOUNT
            is_failing = question.data[3] in self.failing and not self.forgetful
            return b"because " + question.data[3:] if is_failing else None
        assert (question.sender, question.to) == (ENTRY_POINT, ACCOUNT)
        places = [call.data[3] for call in decode_execute(question.data).calls]
        assert places == sorted(set(places))
        return b"reverted" if set(places) & set(self.failing) else None


def calls(count: int, value: int = 0) -> list[Call]:
    return [Call(GAME, Wei(value), bytes((0, 0, 0, place))) for place in range(count)]


def run(
    node: Node,
    told: Sequence[CallOutcome],
    *,
    undone: bool = False,
    value: int = 0,
    stack: Safe7579Stack | NexusStack = STACK,
) -> tuple[CallOutcome, ...]:
    asking = replay(
        stack,
        told,
        call_data=stack.execute(calls(len(told), value), try_mode=not undone),
        account=ACCOUNT,
        entry_point=ENTRY_POINT,
        undone=undone,
    )
    try:
        question = next(asking)
        while True:
            question = asking.send(node.answer(question))
    except StopIteration as stopped:
        return tuple(stopped.value)


def because(place: int) -> CallOutcome:
    return CallOutcome(False, b"because " + bytes((place,)), inferred=True)


class TestIsTold:
    def test_default(self) -> None:
        assert is_told((OK, CallOutcome(False, b"")))
        assert not is_told((OK, UNTOLD))
        assert not is_told((OK, CallOutcome(False)))


class TestReplay:
    @given(st.integers(1, 64), st.data())
    def test_behavior_finds_which_calls_failed_and_why(self, count: int, data: st.DataObject) -> None:
        failing = data.draw(st.sets(st.integers(0, count - 1)))
        node = Node(sorted(failing))
        found = run(node, [UNTOLD] * count)
        assert found == tuple(because(place) if place in failing else UNTOLD for place in range(count))
        assert len(node.asked) <= 1 + len(failing) * (2 + ceil(log2(count + 1)))

    def test_behavior_one_question_when_all_succeeded(self) -> None:
        node = Node([])
        assert run(node, [UNTOLD] * 64) == (UNTOLD,) * 64
        assert len(node.asked) == 1

    def test_behavior_an_undone_batch_has_one_reason(self) -> None:
        assert run(Node([2, 3]), [CallOutcome(False)] * 4, undone=True) == (because(2),) * 4

    def test_behavior_an_undone_batch_that_would_succeed_now(self) -> None:
        found = run(Node([]), [CallOutcome(False)] * 2, undone=True)
        assert found == (CallOutcome(False, None, inferred=True),) * 2

    def test_behavior_a_single_call_that_failed(self) -> None:
        assert run(Node([0]), [CallOutcome(False)]) == (because(0),)

    def test_behavior_what_the_chain_said_stands(self) -> None:
        """The state before the block is not the state before the operation: a replay may be wrong."""
        assert run(Node([]), [CallOutcome(False)]) == (CallOutcome(False),)
        assert run(Node([0]), [OK, UNTOLD]) == (OK, UNTOLD)

    def test_behavior_no_reason_without_the_calls_before(self) -> None:
        found = run(Node([1], forgetful=True), [UNTOLD] * 2)
        assert found == (UNTOLD, CallOutcome(False, None, inferred=True))

    def test_behavior_a_call_with_value_has_no_reason(self) -> None:
        assert run(Node([0]), [UNTOLD] * 2, value=1) == (CallOutcome(False, None, inferred=True), UNTOLD)

    @pytest.mark.parametrize(("failing", "place"), [([0], 0), ([1], 1)])
    def test_behavior_tells_equal_calls_apart(self, failing: list[int], place: int) -> None:
        """Nexus says that one of two equal calls failed, and with what; which one is found out."""
        told = [UNTOLD, CallOutcome(False, b"no", inferred=True), OK]
        found = run(Node(failing), told, stack=NexusStack())
        expected = [UNTOLD, UNTOLD, OK]
        expected[place] = CallOutcome(False, b"no", inferred=True)
        assert found == tuple(expected)

    @pytest.mark.parametrize("failing", [[], [0, 1]])
    def test_behavior_another_number_of_failures_is_no_answer(self, failing: list[int]) -> None:
        told = (UNTOLD, CallOutcome(False, b"no", inferred=True))
        assert run(Node(failing), told, stack=NexusStack()) == told
