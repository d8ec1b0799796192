"""What a row of the suite is.

A row is one escape and its twin. Both are steps from the same state, on the same path, and differ in one thing. A step
is an operation, a transaction, a question, or something that only a devnet's node can do.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gamekit.demo.forgery import Attempt
from gamekit.eth.user_operation import PackedUserOperation
from gamekit.units import Address, UnixSeconds

if TYPE_CHECKING:
    from tests.proof.escapes.world import World

EXECUTED: Final = "executed"
"""An operation's success by its event, or a transaction's."""
ANY: Final = 1 << 300
"""Stands in an effect for whatever amount a value moves by, none included."""
GAS_MAX: Final = 16_000_000
"""Of one transaction: below the cap of EIP-7825."""


class Operate(Struct, frozen=True):
    """A bundle that a session's key signed, sent to the EntryPoint by the thief."""

    attempt: Attempt
    session: str = "play"
    """Whose key: a name in `World.sessions`."""
    gas: int = GAS_MAX
    repack: Callable[[PackedUserOperation], PackedUserOperation] | None = None
    """A change to the last operation as it stands in the bundle, for what has no version-neutral form."""
    at: UnixSeconds | None = None
    """The block's time; None for the next second."""
    aggregator: Address | None = None
    """Sent by handleAggregatedOps, in this aggregator's name."""
    ends: str = EXECUTED
    """How it ends where it stands before the steps that count."""


class Transact(Struct, frozen=True):
    """A transaction from anybody; the devnet signs for all."""

    sender: Address
    to: Address
    data: bytes
    value: int = 0
    gas: int = GAS_MAX
    at: UnixSeconds | None = None
    also: tuple[bytes, ...] = ()
    """More calldata for the same target, asked by eth_call: each must end like the transaction itself."""


class Ask(Struct, frozen=True):
    """A question by eth_call; `accepted` says whether the answer is the one that opens the way."""

    sender: Address
    to: Address
    data: bytes
    accepted: Callable[[bytes], bool]
    refused: Callable[[bytes], str] = lambda answer: f"0x{answer[:4].hex()}"
    """How an answer that does not is written."""


class Judge(Struct, frozen=True):
    """A verdict that no chain gives: gamekit's own, or one about a trace. It answers a reason, or nothing."""

    verdict: Callable[["World"], Awaitable[str] | str]


class Do(Struct, frozen=True):
    """Something done to the chain before the steps that count."""

    what: Callable[["World"], Awaitable[None]]


class Later(Struct, frozen=True):
    """A step that can be made only where it is taken: it signs for the head's time, or for the next nonce."""

    make: Callable[["World"], Awaitable["Step"]]


Step = Operate | Transact | Ask | Judge | Do | Later


class Trial(Struct, frozen=True):
    """A row, made for one world."""

    escape: Step
    twin: Step
    before: tuple[Step, ...] = ()
    """Steps before both; each must succeed."""
    escape_before: tuple[Step, ...] = ()
    """Steps before the escape alone: then they are the one thing that differs."""
    twin_before: tuple[Step, ...] = ()
    values: Mapping[str, object] = {}
    """Values that the decoded error must carry, by name: what was found, and what it was compared with."""
    effect: Mapping[str, int] | None = None
    """By how much the twin moves what is watched; None for one action of play. Books may always move, unless they are
    named with 0."""
    spares: tuple[str, ...] = ()
    """What an escape that is executed may move: it must come to nothing else."""
    off_chain: tuple[Callable[[], str], Callable[[], str]] | None = None
    """gamekit's verdicts, on the escape and on the twin, where they are not on an operation: who refuses."""
    after: Callable[["World"], Awaitable[str]] | None = None
    """What came of an escape that was executed, in the words of the expectation."""


class Expected(Struct, frozen=True):
    """How an escape must end."""

    code: str
    """The EntryPoint's AA code, `reverted` for a transaction of its own kind, or `executed`."""
    error: str = ""
    """The decoded error; what `after` says of an escape that is executed."""

    def __str__(self) -> str:
        return f"{self.code} {self.error}".strip()


class Row(Struct, frozen=True, kw_only=True):
    """One escape, on every account."""

    case: str
    """C01 to C59."""
    slug: str
    what: str
    expected: Expected
    build: Callable[["World"], Trial]
    at: Mapping[str, Expected] = {}
    """Where an account answers differently: by account, or by stack."""
    without: Mapping[str, str] = {}
    """Where it does not apply, and why: by account, or by stack; `*` for all others, an empty reason for
    none."""
    off_chain: str = ""
    """Who of gamekit refuses it as well, before anything is signed; empty where gamekit is not asked."""

    @property
    def id(self) -> str:
        """What names the row in the table."""
        return f"{self.case}:{self.slug}"

    def expected_at(self, account: str) -> Expected:
        """How it must end on an account such as `nexus 0.7`."""
        return self.at.get(account) or self.at.get(account.partition(" ")[0]) or self.expected

    def reason_without(self, account: str) -> str:
        """Why it does not apply to an account; empty if it does."""
        stack = account.partition(" ")[0]
        found = [self.without[name] for name in (account, stack, "*") if name in self.without]
        return found[0] if found else ""


class Result(Struct, kw_only=True):
    """How one row ended on one account."""

    id: str
    case: str
    what: str
    account: str
    expected: str
    without: str = ""
    """Why it was not run."""
    found: str = ""
    """How the escape ended."""
    twin: str = ""
    """How the twin ended: `executed`, or what is wrong."""
    off_chain: str = ""
    """Who of gamekit refuses it, or what is wrong with its verdict."""
    breach: str = ""
    """What the escape moved that it may not move; empty for nothing."""
    faults: Sequence[str] = ()
    """Everything that is not as it must be."""

    @property
    def verdict(self) -> str:
        """`refused`, `accepted` (a hole), `failed` (something else is not as expected) or `not applicable`."""
        if self.without:
            return "not applicable"
        if self.breach or (self.found == EXECUTED and not self.expected.startswith(EXECUTED)):
            return "accepted"
        return "failed" if self.faults else "refused"
