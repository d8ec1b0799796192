"""The audit against planted errors: it must find exactly what was planted, and nothing where nothing is wrong."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from gamekit.accounts.nexus import TRY_EXECUTE_UNSUCCESSFUL
from gamekit.accounts.reference import TRY_EXECUTE_FAIL
from gamekit.contracts import artifact
from gamekit.demo import audit
from gamekit.demo.audit import Accepted, Chain, Malformed, Verdict, judge, read_block, read_log
from gamekit.eth.abi import encode
from gamekit.eth.abi_text import parse_type
from gamekit.eth.calldata import Call, Mode, execute_batch, execute_single
from gamekit.eth.entry_point import BEFORE_EXECUTION, HANDLE_OPS, USER_OPERATION_EVENT, encode_handle_ops
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import event_topic, selector, to_hex
from gamekit.eth.interface import Interface
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Address, Gas, Wei

ARENA = Address(b"\xaa" * 20)
ACCOUNT = Address(b"\x01" * 20)
OTHER = Address(b"\x02" * 20)
ENTRY_POINT = to_hex(EntryPointVersion.V08.canonical_address)
UINT, BOOL = parse_type("uint256"), parse_type("bool")
PERMISSION = "0x" + "07" * 32


class Run:
    """A small history: a client's log, and blocks as a node would give them."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.chain = Chain()
        self._numbers: dict[Address, int] = {}
        self._nonces = 0

    def accept(self, *targets: int, account: Address = ACCOUNT) -> None:
        for target in targets:
            self.lines.append(
                {
                    "event": "accepted",
                    "account": to_hex(account),
                    "permission_id": PERMISSION,
                    "key": f"k{target}",
                    "action_id": target,
                    "journal_epoch": "ab",
                    "function": "attack",
                    "arguments": [target, 1],
                }
            )

    def tell(self, event: str, target: int, **more: object) -> None:
        self.lines.append({"event": event, "permission_id": PERMISSION, "key": f"k{target}", **more})

    def execute(
        self,
        *targets: int,
        failing: tuple[int, ...] = (),
        success: bool = True,
        nexus: bool = False,
        account: Address = ACCOUNT,
    ) -> None:
        """Mine one operation that attacks these targets."""
        calls = [Call(ARENA, Wei(0), attack(target)) for target in targets]
        single = len(calls) == 1
        call_data = execute_single(Mode.SINGLE_TRY, *calls[0]) if single else execute_batch(Mode.BATCH_TRY, calls)
        self._nonces += 1
        op = UserOperation(
            sender=account,
            nonce=self._nonces,
            call_data=call_data,
            call_gas_limit=Gas(1),
            verification_gas_limit=Gas(1),
            pre_verification_gas=Gas(1),
            max_fee_per_gas=Wei(1),
            max_priority_fee_per_gas=Wei(1),
        )
        logs = [log(ENTRY_POINT, BEFORE_EXECUTION.topic)]
        for place, target in enumerate(targets):
            if target in failing and nexus:
                data = encode((parse_type("bytes"), parse_type("bytes")), (calls[place].data, b""))
                logs.append(log(to_hex(account), TRY_EXECUTE_UNSUCCESSFUL.topic, data=data))
            elif target in failing:
                data = encode((UINT, parse_type("bytes")), (place, b""))
                logs.append(log(to_hex(account), TRY_EXECUTE_FAIL.topic, data=data))
            elif success:
                self._numbers[account] = self._numbers.get(account, 0) + 1
                number = self._numbers[account].to_bytes(32, "big")
                logs.append(log(to_hex(ARENA), ACTION_EXECUTED, account.rjust(32, b"\0"), bytes(32), data=number))
        ended = encode((UINT, BOOL, UINT, UINT), (self._nonces, success, 5, 5))
        name = self._nonces.to_bytes(32, "big")
        logs.append(log(ENTRY_POINT, USER_OPERATION_EVENT.topic, name, account.rjust(32, b"\0"), bytes(32), data=ended))
        self._mine(to_hex(encode_handle_ops([op], OTHER, EntryPointVersion.V08)), logs)

    def _mine(self, data: str, logs: list[dict[str, Any]]) -> None:
        block = {"transactions": [{"hash": "0x1", "to": ENTRY_POINT, "input": data}]}
        receipt = {"transactionHash": "0x1", "logs": logs, "gasUsed": "0x64", "blockNumber": "0x7"}
        read_block(self.chain, to_hex(ARENA), block, [receipt])

    def verdict(self) -> Verdict:
        self.chain.counters = {to_hex(account): count for account, count in self._numbers.items()}
        return judge(read(self.lines), self.chain)


def read(lines: list[dict[str, Any]]) -> dict[tuple[str, str], Accepted]:
    return read_log((json.dumps(line) for line in lines), to_hex(ARENA))


def attack(target: int) -> bytes:
    return selector("attack(uint256,uint16)") + encode((UINT, UINT), (target, 1))


ACTION_EXECUTED = event_topic("ActionExecuted(address,bytes4,uint256)")


def log(address: str, *topics: bytes, data: bytes = b"") -> dict[str, Any]:
    return {"address": address, "topics": [to_hex(topic) for topic in topics], "data": to_hex(data)}


@pytest.fixture
def run() -> Run:
    """Six accepted actions in two operations, one of them reverted and told so."""
    run = Run()
    run.accept(1, 2, 3, 4, 5, 6)
    run.execute(1, 2, 3)
    run.execute(4, 5, 6, failing=(5,))
    for target in (1, 2, 3, 4, 6):
        run.tell("settled", target, ok=True)
    run.tell("settled", 5, ok=False)
    return run


def found(verdict: Verdict) -> dict[str, int]:
    names = ("lost", "duplicated", "unaccepted", "misreported", "out_of_order", "unfounded", "counter_mismatches")
    return {name: getattr(verdict, name) for name in names if getattr(verdict, name)}


def test_judge_default(run: Run) -> None:
    verdict = run.verdict()
    assert verdict.clean
    assert (verdict.accepted, verdict.executed_ok, verdict.reverted) == (6, 5, 1)
    assert (verdict.operations, verdict.bundles, verdict.gas_used) == (2, 2, 200)
    assert verdict.faults == []


def test_judge_error_lost(run: Run) -> None:
    run.accept(7)
    assert found(run.verdict()) == {"lost": 1}


def test_judge_error_duplicated(run: Run) -> None:
    run.execute(2)
    assert found(run.verdict()) == {"duplicated": 1, "out_of_order": 1}


def test_judge_error_duplicated_twice(run: Run) -> None:
    run.execute(2, 3)
    run.execute(2)
    assert found(run.verdict()) == {"duplicated": 3, "out_of_order": 3}


def test_judge_error_unfounded() -> None:
    run = Run()
    run.accept(1, 2)
    run.execute(1, 2)
    executed = run.chain.calls[to_hex(ACCOUNT), to_hex(ARENA), attack(1)][0]
    assert executed.block_number == 7
    there = {"user_op_hash": executed.user_op_hash, "block_number": executed.block_number}
    run.tell("settled", 1, ok=True, **there)
    run.tell("settled", 2, ok=True, **{**there, "block_number": executed.block_number + 1})
    assert found(run.verdict()) == {"unfounded": 1}
    run.tell("reorged", 2)
    run.tell("settled", 2, ok=True, **there)
    assert run.verdict().clean


def test_judge_error_out_of_order(run: Run) -> None:
    run.accept(7, 8, 9)
    run.execute(7, 9)
    run.execute(8)
    assert found(run.verdict()) == {"out_of_order": 1}


def test_judge_error_unaccepted(run: Run) -> None:
    run.lines = [line for line in run.lines if line["key"] != "k3"]
    assert found(run.verdict()) == {"unaccepted": 1}


def test_judge_error_misreported(run: Run) -> None:
    run.tell("settled", 1, ok=False)
    assert found(run.verdict()) == {"misreported": 1}


def test_judge_error_refused_and_executed(run: Run) -> None:
    run.tell("refused", 4)
    assert found(run.verdict()) == {"misreported": 1}


def test_judge_error_counter(run: Run) -> None:
    run._numbers[ACCOUNT] += 1
    assert found(run.verdict()) == {"counter_mismatches": 1}


def test_judge_error_accepted_in_another_order_than_asked(run: Run) -> None:
    for line in run.lines:
        if line["event"] == "accepted":
            line["number"] = line["action_id"]
    assert run.verdict().clean
    run.lines[1]["number"], run.lines[2]["number"] = 3, 2
    assert found(run.verdict()) == {"out_of_order": 1}


def test_judge_behavior_refused_is_not_lost(run: Run) -> None:
    run.accept(7)
    run.tell("refused", 7)
    assert (run.verdict().refused, found(run.verdict())) == (1, {})


def test_judge_behavior_reorged_takes_the_outcome_back(run: Run) -> None:
    run.tell("reorged", 5)
    assert found(run.verdict()) == {}
    run.tell("settled", 5, ok=True)
    assert found(run.verdict()) == {"misreported": 1}


def test_judge_behavior_a_failed_operation_reverts_all_its_calls() -> None:
    run = Run()
    run.accept(1, 2)
    run.execute(1, 2, success=False)
    assert run.verdict().reverted == 2
    assert run.verdict().clean


def test_judge_behavior_nexus_names_the_call_and_not_its_place() -> None:
    run = Run()
    run.accept(1, 2, 3)
    run.execute(1, 2, 3, failing=(2,), nexus=True)
    run.tell("settled", 2, ok=False)
    assert run.verdict().clean


def test_judge_behavior_other_accounts_are_not_ours(run: Run) -> None:
    run.execute(99, account=OTHER)
    assert run.verdict().clean
    assert run.verdict().bundles == 2


def test_judge_error_same_call_twice(run: Run) -> None:
    run.lines.append({**run.lines[0], "key": "again", "action_id": 70})
    with pytest.raises(Malformed, match="same call"):
        run.verdict()


def test_read_log_behavior_an_acknowledgement_may_come_twice(run: Run) -> None:
    run.lines.append(run.lines[0])
    assert run.verdict().accepted == 6


def test_read_log_behavior_an_outcome_may_come_before_the_acknowledgement(run: Run) -> None:
    run.lines.reverse()
    assert run.verdict().clean


def test_read_log_error_one_key_two_actions(run: Run) -> None:
    with pytest.raises(Malformed, match="accepted twice"):
        read([run.lines[0], {**run.lines[0], "action_id": 9}])


def test_read_log_error_outcome_without_acceptance() -> None:
    with pytest.raises(Malformed, match="never accepted"):
        read([{"event": "settled", "permission_id": PERMISSION, "key": "k", "ok": True}])


def test_read_block_error_operations_behind_another_contract(run: Run) -> None:
    event = log(ENTRY_POINT, USER_OPERATION_EVENT.topic, bytes(32), bytes(32), bytes(32), data=bytes(128))
    with pytest.raises(Malformed, match="cannot be read"):
        run._mine("0x12345678", [event])


def test_constants_are_those_of_the_contracts() -> None:
    arena = Interface.from_json(artifact("Arena").abi)
    assert {name: arena.function(name).selector for name in audit.SELECTORS} == audit.SELECTORS
    assert arena.function("actionsOf").selector.hex() == audit.ACTIONS_OF
    topics = (USER_OPERATION_EVENT, BEFORE_EXECUTION, TRY_EXECUTE_FAIL, TRY_EXECUTE_UNSUCCESSFUL)
    assert [event.topic.hex() for event in topics] == [
        audit.USER_OPERATION_EVENT,
        audit.BEFORE_EXECUTION,
        audit.FAILED_BY_PLACE,
        audit.FAILED_BY_DATA,
    ]
    assert audit.ACTION_EXECUTED in {topic.hex() for topic in arena.events}
    assert HANDLE_OPS.selector == audit.HANDLE_OPS


def test_audit_imports_nothing_of_gamekit() -> None:
    tree = ast.parse(Path(audit.__file__).read_text())
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported == {
        "argparse",
        "collections",
        "dataclasses",
        "itertools",
        "json",
        "pathlib",
        "sys",
        "typing",
        "urllib",
    }
