"""What stands behind each sentence of an explanation: which check of the contract, or why it promises nothing.

A sentence that no line here knows, or that stands where it should not, is a fault: so no sentence can be added without
what enforces it, and no check without a sentence or a reason.
"""

import re
from collections.abc import Iterator

from msgspec import Struct

from gamekit.core.explain import Explanation

HOW = "how to do something: no promise about the key"
LOSS = "names a loss that has no number; what it depends on is said to be not enforced"


class Sentence(Struct, frozen=True):
    """One kind of sentence."""

    part: str
    """Field of the explanation that it stands in."""
    pattern: str
    enforced_by: tuple[str, ...] = ()
    """Errors of the module that hold it, or functions of it."""
    promises_nothing: str = ""
    """Why no check is needed."""


NUMBER, ETHER, ADDRESS = r"[\d,]+", r"[\d,.]+ ETH", "0x[0-9a-fA-F]{40}"
CONTRACTS = rf"{ADDRESS}(, \w+ {ADDRESS})*"
RULE = (
    rf"(.+ (exactly|never|at most|at least|one of) {NUMBER}( or {NUMBER})*( over all calls together)?"
    rf"|.+ is always your own account|.+ counts towards the {NUMBER} in all of .+)"
)

SENTENCES = (
    Sentence("title", rf"The session key {ADDRESS} for .+ \(contract {CONTRACTS}, chain \d+\)\.", ("SignatureFailed",)),
    Sentence("title", rf"This key is for you to .+ in .+ \(contract {CONTRACTS}, chain \d+\)\.", ("CallNotAllowed",)),
    Sentence(
        "may",
        rf".+ \((\w+\([\w,\[\]()]*\)|selector 0x[0-9a-f]{{8}})( of [^()]+)?\)(: {RULE}(; {RULE})*)?",
        ("CallNotAllowed", "ArgumentRefused", "ArgumentMissing", "CapExceeded"),
    ),
    Sentence("until", r"From .+ to .+ \(.+\); then the chain refuses it\.", ("TimeRangeEmpty",)),
    Sentence("until", r"For .+ from its grant; then the chain refuses it\.", ("TimeRangeEmpty",)),
    Sentence(
        "pace", rf"At most {NUMBER} calls in all, up to \d+ in one operation\.", ("UsesExceeded", "CallsOutOfRange")
    ),
    Sentence("pace", r"The chain sets no pace\.", promises_nothing="says that there is no limit"),
    Sentence(
        "pace",
        rf"The chain's count ends at {NUMBER}, its pace admits {NUMBER} in all that time\.",
        ("UsesExceeded", "RateExceeded"),
    ),
    Sentence(
        "pace",
        rf"By the times that operations claim, up to {NUMBER} calls at once, then one every {NUMBER} ms( \(\d+ each "
        r"second\))?\.",
        ("RateExceeded",),
    ),
    Sentence(
        "pace",
        rf"Each operation may land up to 120 s after the time that it claims: so at most {NUMBER} calls in one second, "
        rf"and {NUMBER} in any minute\.",
        ("RateExceeded", "TimeRangeEmpty"),
    ),
    Sentence(
        "most_lost",
        rf"{ETHER} of gas in all, {ETHER} for one operation, paid by your account, or its deposit at the entry point\.",
        ("GasBudgetExceeded", "GasPerOperationExceeded", "GasFieldTooLarge"),
    ),
    Sentence(
        "most_lost",
        rf"{ETHER} of gas in all, {ETHER} for one operation, paid by the paymaster {ADDRESS}, which can't be left "
        r"out\.",
        ("GasBudgetExceeded", "GasPerOperationExceeded", "PaymasterMismatch"),
    ),
    Sentence(
        "most_lost",
        rf"{ETHER} sent along with calls in all, {ETHER} with one call\.",
        ("ValuePerCallExceeded", "CapExceeded"),
    ),
    Sentence("most_lost", r"No ether is sent along with calls\.", ("ValuePerCallExceeded",)),
    Sentence("most_lost", rf"{NUMBER} in all of .+, counted by the chain\.", ("CapExceeded",)),
    Sentence(
        "most_lost",
        rf"Together at most {ETHER} leaves your account\.",
        ("GasBudgetExceeded", "CapExceeded", "PaymasterMismatch"),
    ),
    Sentence("most_lost", r"Inside the game: what the functions above can use up or lose .+", promises_nothing=LOSS),
    Sentence(
        "never",
        r"Call any other function or any other contract: not your tokens, not your items, not an exchange\.",
        ("CallNotAllowed", "SelectorMissing", "HintOutOfRange", "TargetIsToken"),
    ),
    Sentence(
        "never",
        r"Send ether along with a call beyond what is said above\.",
        ("ValuePerCallExceeded", "CapExceeded"),
    ),
    Sentence(
        "never",
        r"Change your account: its owner, its modules, its code; or take its deposit out of the entry point\.",
        ("TargetForbidden", "TargetIsModule", "SelectorNotExecute", "ModeNotAllowed", "InitCodeNotEmpty"),
    ),
    Sentence(
        "never",
        r"Sign a message, a login, a permit or an order in your account's name\.",
        ("isValidSignatureWithSender",),
    ),
    Sentence(
        "never",
        r"Act for another account, on another chain, or after its time; or last longer, or grant a further key\.",
        ("SenderMismatch", "SessionNotLive", "TimeRangeEmpty", "GrantSignatureInvalid"),
    ),
    Sentence(
        "never",
        r"Stand in the way of your own operations: it acts on "
        r"(nonce key 0x[0-9a-f]+|the one nonce key that it is given) alone\.",
        ("NonceKeyMismatch",),
    ),
    Sentence("revoke", r"In the game: the server signs the key's own end, and anyone may submit that\.", (), HOW),
    Sentence("revoke", r"Without us: .+ sends revokeSessionFor, or revokeAllSessionsFor, .+", ("RevokerMismatch",)),
    Sentence("revoke", r"Without us: only from your account, as the grant names nobody else\.", ("RevokerMismatch",)),
    Sentence(
        "revoke", r"From your account: revokeSession, revokeAllSessions, or uninstall the session module\.", (), HOW
    ),
    Sentence(
        "revoke",
        r"Once the revocation is on chain nothing of this session lands any more, whenever it was signed\.",
        ("SessionNotLive", "EpochStale"),
    ),
)

ENCODING_ONLY = {
    "CallDataNotCanonical": "one operation has one encoding; what it may do is said by its calls",
    "SignatureTooShort": "the signature's own form",
    "SignatureTooLong": "the signature's own form",
    "WitnessInvalid": "how a long list of functions is shown to the module; the list itself is what the key can do",
}
"""Errors of validation that limit how an operation is written and not what it may do."""


def lines(explanation: Explanation) -> Iterator[tuple[str, str]]:
    """Give each sentence with the part that it stands in, but for what is said to be not enforced."""
    yield "title", explanation.title
    yield "until", explanation.until
    for part in ("may", "pace", "most_lost", "never", "revoke"):
        for line in getattr(explanation, part):
            yield part, line


def unknown(explanation: Explanation) -> list[str]:
    """Give the sentences that nothing is known to enforce, or that stand in another part than they should."""
    return [line for part, line in lines(explanation) if find(part, line) is None]


def find(part: str, line: str) -> Sentence | None:
    """Find what stands behind a sentence."""
    found = [each for each in SENTENCES if each.part == part and re.fullmatch(each.pattern, line)]
    return found[0] if found else None
