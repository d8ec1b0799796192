"""What gamekit refuses to make a session of, though no contract could tell: a function's name, an argument's kind.

No account takes part, so each row is asked once.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from msgspec.structs import replace

from gamekit.core.manifest import FunctionManifest, RuleManifest
from gamekit.core.play import Contract, play_function
from gamekit.errors import ConfigInvalid
from gamekit.eth.interface import Function, Interface
from gamekit.units import Address
from tests.proof.escapes.accounts import ACCOUNTS
from tests.proof.escapes.make import trial_row
from tests.proof.escapes.model import Expected, Judge, Row, Trial
from tests.proof.escapes.world import World

REFUSED: Final = Expected("refused", "by the manifest's rules")
ONCE: Final = {"*": f"no account takes part: asked once, with {ACCOUNTS[0]}", ACCOUNTS[0]: ""}
PLAY: Final = FunctionManifest(play=True, meaning="play")

Written = tuple[str, FunctionManifest]


def _ruled(argument: str) -> FunctionManifest:
    return replace(PLAY, rules={argument: RuleManifest(equal=1)})


GIVES: Final = replace(PLAY, beneficiary=("to",))
CASES: Final[tuple[tuple[str, str, str, Written, Written], ...]] = (
    (
        "C03",
        "renamed-transfer",
        "a transfer by another name",
        ("sweep(uint256 amount)", PLAY),
        ("sow(uint256 amount)", PLAY),
    ),
    (
        "C03",
        "renamed-approval",
        "an approval by another name",
        ("approveAll(uint256 amount)", PLAY),
        ("improveAll(uint256 amount)", PLAY),
    ),
    (
        "C03",
        "denied",
        "a function of the deny list",
        ("burn(uint256 amount)", PLAY),
        ("learn(uint256 amount)", PLAY),
    ),
    ("C05", "sell-in-manifest", "a sale", ("sell(uint256 points)", PLAY), ("spell(uint256 points)", PLAY)),
    ("C05", "withdraw-in-manifest", "a withdrawal", ("withdrawAll()", PLAY), ("withstandAll()", PLAY)),
    ("C05", "gift-in-manifest", "a gift", ("giftLoot(uint256 points)", PLAY), ("liftLoot(uint256 points)", PLAY)),
    (
        "C05",
        "claim-for",
        "a claim for somebody else",
        ("claimFor(uint256 player)", PLAY),
        ("claimFormation(uint256 player)", PLAY),
    ),
    (
        "C05",
        "unpinned",
        "a beneficiary that is not pinned",
        ("collect(address to)", PLAY),
        ("collect(address to)", GIVES),
    ),
    (
        "C05",
        "unpinned-bytes",
        "a beneficiary in 32 bytes",
        ("collect(bytes32 recipient)", PLAY),
        ("collect(bytes32 recipe)", PLAY),
    ),
    (
        "C05",
        "reference",
        "a beneficiary that is called a reference",
        ("collect(address to)", replace(PLAY, reference={"to": "a friend"})),
        ("collect(address foe)", replace(PLAY, reference={"foe": "who is hit"})),
    ),
    (
        "C05",
        "pinned-list",
        "a list of beneficiaries, which cannot be pinned",
        ("collect(address[] to)", GIVES),
        ("collect(address to)", GIVES),
    ),
    (
        "C06",
        "payable",
        "a payable function without a limit",
        ("buy(uint256 item)", PLAY),
        ("buy(uint256 item)", replace(PLAY, value_per_call_wei_max=5)),
    ),
    (
        "C17",
        "multicall-in-manifest",
        "a multicall",
        ("multicall(uint256 calls)", PLAY),
        ("multiply(uint256 calls)", PLAY),
    ),
    (
        "C17",
        "bytes-list",
        "a list of raw bytes",
        ("act(bytes[] moves)", replace(PLAY, reference={"moves": "moves"})),
        ("act(uint256[] moves)", PLAY),
    ),
    (
        "C24",
        "dynamic",
        "a rule on a dynamic argument",
        ("say(string text)", _ruled("text")),
        ("say(uint256 text)", _ruled("text")),
    ),
    (
        "C24",
        "dynamic-list",
        "a rule on a list",
        ("say(uint256[] words)", _ruled("words")),
        ("say(uint256[2] words)", PLAY),
    ),
    (
        "C24",
        "signed",
        "an order on signed numbers",
        ("step(int16 dx)", replace(PLAY, rules={"dx": RuleManifest(at_most=5)})),
        ("step(uint16 dx)", replace(PLAY, rules={"dx": RuleManifest(at_most=5)})),
    ),
    (
        "C25",
        "too-wide",
        "a rule's value that its argument cannot hold",
        ("step(uint16 dx)", replace(PLAY, rules={"dx": RuleManifest(equal=1 << 16)})),
        ("step(uint32 dx)", replace(PLAY, rules={"dx": RuleManifest(equal=1 << 16)})),
    ),
)
"""Case, slug, what, and a function with its manifest: the escape's and its twin's."""


def rows() -> Iterator[Row]:
    """All rows of this family."""
    for case, slug, what, escape, twin in CASES:
        yield trial_row(
            case,
            slug,
            f"in a game's manifest: {what}",
            REFUSED,
            partial(
                lambda escape, twin, _: Trial(
                    escape=Judge(lambda w: _verdict(w, *escape)), twin=Judge(lambda w: _verdict(w, *twin)), effect={}
                ),
                escape,
                twin,
            ),
            without=ONCE,
        )


def _verdict(_: World, text: str, manifest: FunctionManifest) -> str:
    """Whether a function may be play."""
    is_payable = text.startswith("buy")
    function = Function.parse(text, state_mutability="payable" if is_payable else "nonpayable")
    try:
        contract = Contract("game", Address(b"\x6a" * 20), Interface.from_json([]))
        play_function(function.name, contract, function, manifest)
    except ConfigInvalid:
        return str(REFUSED)
    return ""
