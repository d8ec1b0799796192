"""Which fault strikes which request: rules, a seed, and a count of what was injected. No input or output.

A rule names methods, a fault and how often: at the n-th matching request, or with a probability. The dice are drawn for
each request in the order of arrival, from one seed; with a real process the order of arrival is all that may differ
from run to run.
"""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

FAULTS: Final = {
    "delay": "the answer comes late",
    "drop_before": "the connection is cut, the node never heard of it",
    "drop_after": "the node carried it out, and the answer is lost",
    "status_429": "HTTP 429",
    "status_500": "HTTP 500",
    "status_502": "HTTP 502 and a page in HTML",
    "truncated": "half of the answer",
    "garbage": "bytes that are no JSON",
    "huge": "an answer over every bound",
    "slow_drip": "one byte at a time, for longer than the deadline",
    "wrong_id": "the answer to another request",
    "wrong_hash": "another hash than the block's or the transaction's own",
    "other_fork": "a block of a fork of which nobody else has heard; its hash is its header's",
    "stale": "the answer of some blocks ago",
    "duplicate": "the request is delivered twice",
    "null": "a null result: as if there were no such block, receipt or transaction",
    "forged_receipt": "a block's receipts with an operation that is in no block",
    "forged_outcome": "a block's receipts that say the opposite of what became of an operation",
    "hidden_receipt": "a block's receipts without the logs of an operation that is in it",
    "forged_spent": "a nonce that is consumed, while nothing consumed it",
}
"""Every kind, and what it does."""
BYTES: Final = ("truncated", "garbage", "huge", "slow_drip", "wrong_id")
TRANSPORT: Final = ("drop_before", "drop_after", "status_429", "status_500", "status_502")
RECEIPTS: Final = "eth_getBlockReceipts"
SEND: Final = "eth_sendRawTransaction"
BLOCK: Final = "eth_getBlockByNumber"
CALL: Final = "eth_call"
COUNT: Final = "eth_getTransactionCount"


class Rule(NamedTuple):
    """One fault, and when it strikes."""

    fault: str
    methods: tuple[str, ...] = ()
    """JSON-RPC methods; empty: all."""
    probability: float = 0.0
    """0 to 1, for each matching request."""
    nth: int = 0
    """Exactly at this matching request, counted from 1; 0: by probability."""


class Dice:
    """Decides, request by request, and counts."""

    def __init__(self, rules: Sequence[Rule], seed: int) -> None:
        unknown = [rule.fault for rule in rules if rule.fault not in FAULTS]
        if unknown:
            raise ValueError(f"no such faults: {unknown}")
        self._rules = tuple(rules)
        self._matched = [0] * len(rules)
        self.random = random.Random(seed)
        self.asked = 0
        """Requests that were decided on, whatever became of them."""
        self.injected: Counter[str] = Counter()
        """What strikes came to pass, by fault."""

    def decide(self, method: str) -> str:
        """Give the fault for the next request; empty for none. The first rule that strikes wins."""
        self.asked += 1
        found = ""
        for place, rule in enumerate(self._rules):
            if rule.methods and method not in rule.methods:
                continue
            self._matched[place] += 1
            # Drawn whether an earlier rule struck or not, so that rules do not shift each other's dice.
            strikes = self._matched[place] == rule.nth if rule.nth else self.random.random() < rule.probability
            if strikes and not found:
                found = rule.fault
        return found

    def count(self, fault: str) -> None:
        """Note that a fault came to pass: a lie needs something to lie about, and does not always find it."""
        self.injected[fault] += 1


def shaken(share: float) -> tuple[Rule, ...]:
    """Faults as bad days have them: `share` of all requests, 0 to 1. Nothing lies."""
    each = share / 10
    return (
        Rule("drop_after", (SEND,), 2 * share),
        Rule("duplicate", (SEND,), share),
        *(Rule(fault, (), each) for fault in ("delay", *TRANSPORT, "truncated", "garbage", "wrong_id")),
        Rule("stale", (BLOCK, COUNT), each),
    )


def byzantine(share: float) -> tuple[Rule, ...]:
    """Every kind of fault: `share` of all replies and more is faulty, 0 to 0.6, and lies are a good part of it."""
    plain = ("delay", "drop_before", "drop_after", "status_429", "status_500", "status_502", "truncated", "garbage")
    lies = (
        Rule("forged_receipt", (RECEIPTS,), share / 2),
        Rule("forged_outcome", (RECEIPTS,), share / 4),
        Rule("hidden_receipt", (RECEIPTS,), share / 4),
        Rule("wrong_hash", (BLOCK, SEND), share / 6),
        Rule("other_fork", (BLOCK,), share / 12),
        Rule("stale", (BLOCK, COUNT, CALL), share / 6),
        Rule("null", (BLOCK, COUNT), share / 6),
        Rule("forged_spent", (COUNT,), share / 6),
        Rule("duplicate", (SEND,), share / 2),
    )
    # What is left of the share for the plain faults; rare ones cost the deadline of a request each.
    rest = share * 1.1
    rare = (Rule("huge", (), share / 200), Rule("slow_drip", (), share / 200))
    return (*lies, *rare, *(Rule(fault, (), rest / (len(plain) + 1)) for fault in (*plain, "wrong_id")))
