"""Joins what the clients were told was accepted with what the chain executed. Imports nothing of gamekit.

::

    python audit.py --rpc http://127.0.0.1:8545 --arena 0x… --log clients.jsonl

What counts as one action on chain is (user operation hash, call index), decoded from the mined calldata of handleOps
and from the accounts' own events. An accepted action and a call are the same if account and calldata are: the clients
make the arguments of each action of a player unlike those of all its others. The game's own counter must agree.

The log has one JSON object a line: `event` is accepted, settled, reorged or refused; each line names `permission_id`
and `key`; accepted lines also `account`, `function`, `arguments`, `action_id`, `journal_epoch` and, where the client
counts them, `number`; settled lines `ok` and, where the client notes it, the operation and block that it was told:
`user_op_hash`, `block_number`.

Exit status: 0 when nothing is wrong, 1 otherwise.
"""

import argparse
import json
import sys
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

HANDLE_OPS = bytes.fromhex("765e827f")
"""handleOps(PackedUserOperation[],address) of EntryPoint 0.7 and later."""
EXECUTE = bytes.fromhex("e9ae5c53")
"""execute(bytes32,bytes) of ERC-7579."""
ACTIONS_OF = "d4b869dd"
"""actionsOf(address) of the example game."""
SELECTORS = {
    "move": bytes.fromhex("26bae546"),
    "attack": bytes.fromhex("a6be3fee"),
    "craft": bytes.fromhex("289137a1"),
    "claimLoot": bytes.fromhex("b7097b4e"),
}
"""move(int16,int16), attack(uint256,uint16), craft(uint256,uint256), claimLoot(address)."""
USER_OPERATION_EVENT = "49628fd1471006c1482da88028e9ce4dbb080b815c9b0344d39e5a8e6ec1419f"
BEFORE_EXECUTION = "bb47ee3e183a558b1a2ff0874b079f3fc5478b7454eacf2bfc5af2ff5878f972"
FAILED_BY_PLACE = "2eea2f51f83910481f4b5ba28b7003a6e045d4b59f67dfff8d4c901194050089"
"""ERC7579TryExecuteFail(uint256 batchExecutionIndex,bytes returndata): OpenZeppelin's account."""
FAILED_BY_DATA = "b5282692b8c578af7fb880895d599035496b5e64d1f14bf428a1ed3bc406f662"
"""TryExecuteUnsuccessful(bytes callData,bytes result): Nexus."""
ACTION_EXECUTED = "857fb4d9624bf36959bcfd4739116f22cab89ce9da22675c1d11da30424eff6c"
"""ActionExecuted(address indexed player,bytes4 indexed action,uint256 number) of the example game."""
BATCH_BLOCKS = 50
"""Blocks asked for at once."""
SHOWN_MAX = 20
"""Faults of one kind that the report spells out."""

Reference = tuple[str, str, bytes]
"""Account, target and data of a call: what an accepted action and an executed call have in common."""


class Malformed(Exception):
    """Calldata or a log that an honest bundler does not write."""


@dataclass(slots=True)
class Executed:
    """One call that a mined operation made."""

    user_op_hash: str
    call_index: int
    succeeded: bool
    """Whether neither the call nor its operation reverted."""
    block_number: int = 0


@dataclass(slots=True)
class Accepted:
    """One action that the server acknowledged as durable."""

    reference: Reference
    action_id: int
    """Its place in the server's journal, which is also its place among the actions of its session."""
    number: int = 0
    """Its place among what its client asked for in this session, from 1; 0 where the log does not say."""
    epoch: str = ""
    """The journal that acknowledged it. Places in one say nothing about places in another: a restore begins anew."""
    told: str = ""
    """The last outcome that the client was told: ok, reverted, refused, or empty."""
    places: set[tuple[str, int]] = field(default_factory=set)
    """Operation and block of every outcome that the client was told and that was not taken back."""


@dataclass(slots=True)
class Chain:
    """What the blocks say."""

    calls: dict[Reference, list[Executed]] = field(default_factory=lambda: defaultdict(list))
    order: dict[str, list[Reference]] = field(default_factory=lambda: defaultdict(list))
    """The same calls by account, in the order of the chain."""
    operations: Counter[str] = field(default_factory=Counter)
    """Operations by account."""
    bundles: list[tuple[int, frozenset[str]]] = field(default_factory=list)
    """Gas used and accounts of each handleOps transaction."""
    numbers: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """The game's own numbering of a player's actions, in the order of the chain."""
    counters: dict[str, int] = field(default_factory=dict)
    """actionsOf at the head, by account."""


@dataclass(slots=True)
class Verdict:
    """The result; every list but the first numbers must be empty."""

    accepted: int = 0
    executed: int = 0
    """Accepted actions that the chain executed exactly once."""
    executed_ok: int = 0
    reverted: int = 0
    refused: int = 0
    """Accepted actions that the client was told would never happen, and that never did."""
    lost: int = 0
    """Accepted, not refused, and not on chain."""
    duplicated: int = 0
    """Executed more often than once; each further execution counts."""
    unaccepted: int = 0
    """Calls of a player's account that no client was told were accepted."""
    misreported: int = 0
    """Told one outcome, while the chain has another; or refused and executed all the same."""
    out_of_order: int = 0
    """Actions that came before one of the same session that stood earlier: at the client, in the journal, on chain."""
    unfounded: int = 0
    """Outcomes told of an operation in a block, and not taken back, while that block does not hold the operation."""
    counter_mismatches: int = 0
    """Accounts whose calls differ from the game's own count."""
    operations: int = 0
    bundles: int = 0
    gas_used: int = 0
    """Gas of all bundles that carried a player's operation."""
    faults: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        wrong = self.lost + self.duplicated + self.unaccepted + self.misreported + self.counter_mismatches
        return wrong + self.out_of_order + self.unfounded == 0


def read_log(lines: Iterable[str], arena: str) -> dict[tuple[str, str], Accepted]:
    """Read a client log: every accepted action by (permission id, idempotency key), with its last outcome.

    An outcome may stand before the acceptance: a server that was killed between the disk and the first acknowledgement
    tells the outcome first, and acknowledges when the client asks again.

    Raises: Malformed when one key was accepted as two different actions, or an outcome has no acceptance at all.
    """
    accepted: dict[tuple[str, str], Accepted] = {}
    ids: dict[tuple[str, str], tuple[str, int]] = {}
    told: dict[tuple[str, str], str] = {}
    places: dict[tuple[str, str], set[tuple[str, int]]] = defaultdict(set)
    for line in lines:
        row = json.loads(line)
        name = (row["permission_id"].lower(), row["key"])
        if row["event"] == "accepted":
            data = calldata(row["function"], row["arguments"])
            identity = (row["journal_epoch"], row["action_id"])
            if ids.setdefault(name, identity) != identity:
                raise Malformed(f"{name} was accepted twice, as {ids[name]} and as {identity}")
            reference = (row["account"].lower(), arena.lower(), data)
            accepted.setdefault(name, Accepted(reference, row["action_id"], row.get("number", 0), row["journal_epoch"]))
        elif row["event"] == "settled":
            told[name] = "ok" if row["ok"] else "reverted"
            if "user_op_hash" in row:
                places[name].add((row["user_op_hash"], row["block_number"]))
        else:
            told[name] = "" if row["event"] == "reorged" else "refused"
            places.pop(name, None)
    for name, outcome in told.items():
        if name not in accepted:
            raise Malformed(f"{name} was {outcome or 'reorged'} and never accepted")
        accepted[name].told = outcome
        accepted[name].places = places.get(name, set())
    return accepted


def calldata(function: str, arguments: Iterable[int | str]) -> bytes:
    """Encode a call of the game: static words only, negative numbers in two's complement, addresses as 0x text."""
    words = (int(argument, 16) if isinstance(argument, str) else argument for argument in arguments)
    return SELECTORS[function] + b"".join((word % (1 << 256)).to_bytes(32, "big") for word in words)


def judge(accepted: dict[tuple[str, str], Accepted], chain: Chain) -> Verdict:
    """Join the two sides."""
    verdict = Verdict(accepted=len(accepted))
    accounts = {action.reference[0] for action in accepted.values()}
    known = Counter(action.reference for action in accepted.values())
    for name, action in accepted.items():
        if known[action.reference] > 1:
            raise Malformed(f"{name} has the same call as another action of its player")
        calls = chain.calls.get(action.reference, [])
        _judge_action(verdict, name, action, calls)
        for place in action.places - {(call.user_op_hash, call.block_number) for call in calls}:
            verdict.unfounded += 1
            _say(verdict, f"unfounded: {name[1]} of {name[0]} was told of {place[0]} in block {place[1]}")
    for reference, calls in chain.calls.items():
        if reference[0] in accounts and reference not in known:
            verdict.unaccepted += len(calls)
            _say(verdict, f"unaccepted: {reference[0]} called {reference[1]} with {reference[2].hex()}")
    _judge_order(verdict, accepted, chain)
    _judge_counters(verdict, accounts, chain)
    verdict.operations = sum(chain.operations[account] for account in accounts)
    ours = [gas for gas, senders in chain.bundles if senders & accounts]
    verdict.bundles, verdict.gas_used = len(ours), sum(ours)
    return verdict


def _judge_action(verdict: Verdict, name: tuple[str, str], action: Accepted, calls: list[Executed]) -> None:
    where = f"{name[1]} of {name[0]}"
    if not calls:
        if action.told == "refused":
            verdict.refused += 1
            return
        verdict.lost += 1
        _say(verdict, f"lost: {where}, told {action.told or 'nothing'}")
        return
    if len(calls) > 1:
        verdict.duplicated += len(calls) - 1
        _say(verdict, f"duplicated: {where} in {[(call.user_op_hash, call.call_index) for call in calls]}")
        return
    verdict.executed += 1
    outcome = "ok" if calls[0].succeeded else "reverted"
    verdict.executed_ok += outcome == "ok"
    verdict.reverted += outcome == "reverted"
    if action.told not in ("", outcome):
        verdict.misreported += 1
        _say(verdict, f"misreported: {where} was told {action.told}, the chain says {outcome}")


def _judge_order(verdict: Verdict, accepted: dict[tuple[str, str], Accepted], chain: Chain) -> None:
    asked = sorted(
        ((name[0], action.epoch), action.number, action.action_id) for name, action in accepted.items() if action.number
    )
    for earlier, later in pairwise(asked):
        if earlier[0] == later[0] and earlier[2] > later[2]:
            verdict.out_of_order += 1
            _say(verdict, f"out of order: number {later[1]} of {later[0][0]} was accepted before number {earlier[1]}")
    places = {action.reference: ((name[0], action.epoch), action.action_id) for name, action in accepted.items()}
    for account, references in chain.order.items():
        latest: dict[tuple[str, str], int] = {}
        for lane, action_id in (places[reference] for reference in references if reference in places):
            if action_id < latest.get(lane, 0):
                verdict.out_of_order += 1
                _say(verdict, f"out of order: action {action_id} of {account} ran after {latest[lane]}")
            latest[lane] = max(action_id, latest.get(lane, 0))


def _judge_counters(verdict: Verdict, accounts: set[str], chain: Chain) -> None:
    succeeded: Counter[str] = Counter()
    for (account, _, _), calls in chain.calls.items():
        succeeded[account] += sum(call.succeeded for call in calls)
    for account in accounts:
        numbers, counter = chain.numbers.get(account, []), chain.counters.get(account, 0)
        if numbers != list(range(1, succeeded[account] + 1)) or counter != succeeded[account]:
            verdict.counter_mismatches += 1
            text = f"{succeeded[account]} calls succeeded, the game counts {counter} and told of {len(numbers)}"
            _say(verdict, f"counter mismatch: {account}: {text}")


def _say(verdict: Verdict, fault: str) -> None:
    kind = fault.partition(":")[0]
    if sum(said.startswith(kind) for said in verdict.faults) < SHOWN_MAX:
        verdict.faults.append(fault)


# Reading the chain.


class Node:
    """A JSON-RPC endpoint."""

    def __init__(self, url: str) -> None:
        self._url = url
        # A proxy that the environment names is not for the loopback.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, *requests: tuple[str, list[Any]]) -> list[Any]:
        """Ask several questions at once; gives the results in order."""
        body = [{"jsonrpc": "2.0", "id": n, "method": m, "params": p} for n, (m, p) in enumerate(requests)]
        request = urllib.request.Request(self._url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310 - the operator's own node
        with self._opener.open(request, timeout=120) as response:
            answers = {answer["id"]: answer for answer in json.load(response)}
        for number, (method, _) in enumerate(requests):
            if "result" not in answers[number]:
                raise Malformed(f"{method}: {answers[number].get('error')}")
        return [answers[number]["result"] for number in range(len(requests))]


def read_chain(node: Node, arena: str, accounts: Iterable[str]) -> Chain:
    """Read every block, and the game's counter of every account."""
    chain = Chain()
    head = int(node.ask(("eth_blockNumber", []))[0], 16)
    for start in range(0, head + 1, BATCH_BLOCKS):
        numbers = [hex(number) for number in range(start, min(start + BATCH_BLOCKS, head + 1))]
        blocks = node.ask(*(("eth_getBlockByNumber", [number, True]) for number in numbers))
        receipts = node.ask(*(("eth_getBlockReceipts", [number]) for number in numbers))
        for block, block_receipts in zip(blocks, receipts, strict=True):
            read_block(chain, arena.lower(), block, block_receipts)
    asked = sorted(accounts)
    for start in range(0, len(asked), BATCH_BLOCKS):
        part = asked[start : start + BATCH_BLOCKS]
        calls = ({"to": arena, "data": "0x" + ACTIONS_OF + account[2:].rjust(64, "0")} for account in part)
        counters = node.ask(*(("eth_call", [call, hex(head)]) for call in calls))
        chain.counters.update(zip(part, (int(counter, 16) for counter in counters), strict=True))
    return chain


def read_block(chain: Chain, arena: str, block: dict[str, Any], receipts: list[dict[str, Any]]) -> None:
    """Add a block's operations and the game's events."""
    by_hash = {receipt["transactionHash"]: receipt for receipt in receipts}
    for transaction in block["transactions"]:
        receipt = by_hash[transaction["hash"]]
        logs = receipt["logs"]
        for log in logs:
            if log["address"].lower() == arena and log["topics"][0][2:] == ACTION_EXECUTED:
                chain.numbers["0x" + log["topics"][1][26:]].append(int(log["data"], 16))
        events = [log for log in logs if log["topics"] and log["topics"][0][2:] == USER_OPERATION_EVENT]
        if not events:
            continue
        data = bytes.fromhex(transaction["input"][2:])
        if data[:4] != HANDLE_OPS or any(log["address"] != transaction["to"] for log in events):
            raise Malformed(f"{transaction['hash']} executed operations in a way that cannot be read")
        senders = read_bundle(chain, transaction["to"], data[4:], logs, int(receipt["blockNumber"], 16))
        chain.bundles.append((int(receipt["gasUsed"], 16), frozenset(senders)))


def read_bundle(chain: Chain, entry_point: str, data: bytes, logs: list[dict[str, Any]], block_number: int) -> set[str]:
    """Add the operations of one handleOps; gives their senders."""
    operations = list(_operations(data))
    segments = list(_segments(logs, entry_point))
    if len(operations) != len(segments):
        raise Malformed(f"{len(operations)} operations, {len(segments)} UserOperationEvents")
    for (sender, nonce, call_data), (event, segment) in zip(operations, segments, strict=True):
        words = bytes.fromhex(event["data"][2:])
        if "0x" + event["topics"][2][26:] != sender or int.from_bytes(words[:32], "big") != nonce:
            raise Malformed(f"the event of {event['topics'][1]} is not that of its operation")
        chain.operations[sender] += 1
        executed = int.from_bytes(words[32:64], "big") == 1
        targets = list(_calls(call_data))
        failed = _failed(targets, segment, sender)
        for index, call in enumerate(targets):
            outcome = Executed(event["topics"][1], index, executed and index not in failed, block_number)
            chain.calls[sender, *call].append(outcome)
            chain.order[sender].append((sender, *call))
    return {sender for sender, _, _ in operations}


def _segments(logs: list[dict[str, Any]], entry_point: str) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Split the logs of a bundle: each operation's closing event, and what was emitted while it ran."""
    segment: list[dict[str, Any]] = []
    for log in logs:
        topic = log["topics"][0][2:] if log["topics"] and log["address"] == entry_point else ""
        if topic == USER_OPERATION_EVENT:
            yield log, segment
        if topic in (USER_OPERATION_EVENT, BEFORE_EXECUTION):
            segment = []
        else:
            segment.append(log)


def _failed(calls: list[tuple[str, bytes]], logs: list[dict[str, Any]], sender: str) -> set[int]:
    """Places of the calls that the account itself says reverted."""
    failed: set[int] = set()
    for log in logs:
        if log["address"].lower() != sender or not log["topics"]:
            continue
        topic, data = log["topics"][0][2:], bytes.fromhex(log["data"][2:])
        if topic == FAILED_BY_PLACE:
            failed.add(int.from_bytes(data[:32], "big"))
        elif topic == FAILED_BY_DATA:
            call = _bytes(data, 0)
            failed.add(next(place for place, each in enumerate(calls) if each[1] == call and place not in failed))
    return failed


def _operations(data: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Sender, nonce and calldata of each operation of a bundle."""
    array = _number(data, 0)
    for place in range(_number(data, array)):
        base = array + 32
        at = base + _number(data, base + 32 * place)
        yield "0x" + data[at + 12 : at + 32].hex(), _number(data, at + 32), _bytes(data[at:], 96)


def _calls(call_data: bytes) -> Iterator[tuple[str, bytes]]:
    """Target and data of each call of ERC-7579 `execute` calldata; nothing for any other function."""
    if call_data[:4] != EXECUTE:
        return
    is_batch = call_data[4] == 1
    execution = _bytes(call_data[4:], 32)
    if not is_batch:
        yield "0x" + execution[:20].hex(), execution[52:]
        return
    array = _number(execution, 0)
    for place in range(_number(execution, array)):
        base = array + 32
        at = base + _number(execution, base + 32 * place)
        yield "0x" + execution[at + 12 : at + 32].hex(), _bytes(execution[at:], 64)


def _number(data: bytes, at: int) -> int:
    if at + 32 > len(data):
        raise Malformed(f"there is no word at byte {at} of {len(data)}")
    return int.from_bytes(data[at : at + 32], "big")


def _bytes(data: bytes, head: int) -> bytes:
    """The byte string whose offset stands at `head`."""
    at = _number(data, head)
    length = _number(data, at)
    if at + 32 + length > len(data):
        raise Malformed(f"{length} bytes at {at} do not fit {len(data)}")
    return data[at + 32 : at + 32 + length]


def main(arguments: list[str] | None = None) -> int:
    """Run from a command line."""
    parser = argparse.ArgumentParser(description="Join a client log with the chain.")
    parser.add_argument("--rpc", required=True, help="JSON-RPC endpoint")
    parser.add_argument("--arena", required=True, help="address of the example game")
    parser.add_argument("--log", required=True, type=Path, action="append", help="client log; may be given again")
    options = parser.parse_args(arguments)
    lines = (line for path in options.log for line in path.read_text().splitlines())
    accepted = read_log(lines, options.arena)
    chain = read_chain(Node(options.rpc), options.arena, {action.reference[0] for action in accepted.values()})
    verdict = judge(accepted, chain)
    print(json.dumps({**asdict(verdict), "clean": verdict.clean}, indent=2))
    return 0 if verdict.clean else 1


if __name__ == "__main__":
    sys.exit(main())
