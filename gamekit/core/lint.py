"""What a function's name and arguments say about where value may go: the classification of D10.

The allowlist on chain is the boundary; this is what keeps the wrong function from getting onto it. In the one known
loss of this product shape the money left through the allowed game contract, by functions whose names said so.
"""

import re
from itertools import pairwise
from typing import Final

from gamekit.core.asset_selectors import DENIED_SELECTORS
from gamekit.core.manifest import FunctionManifest
from gamekit.eth.abi import AbiType
from gamekit.eth.interface import Function


def _meanings(**words: str) -> dict[str, str]:
    """Map each word to what it says, from lists of words under that meaning."""
    return {word: meaning.replace("_", " ") for meaning, text in words.items() for word in text.split()}


FORBIDDEN_WORDS: Final = _meanings(
    gives_value_away="sell sells selling gift gifts gifting trade trades trading bridge cashout payout sweep drain",
    gives_rights_away="permit allowance operator ownership admin",
    calls_what_its_arguments_say="aggregate aggregate3 functioncall",
)
"""Words with no innocent reading in the name of a contract's function. A game may well have such functions: they belong
on the withdrawal path, where the owner's wallet signs each one. Not here: `buy`, `mint`, `craft`, `deposit`, `stake`
and `move`, which bring value into the game, where the value cap bounds it."""

FORBIDDEN_STEMS: Final = _meanings(
    gives_value_away="withdraw transfer redeem",
    gives_rights_away="approv authori upgrad install uninstall initiali",
    calls_what_its_arguments_say="multicall multisend delegatecall",
)
"""Beginnings of words that are as clear, whatever follows."""

SUSPECT_WORDS: Final = _meanings(
    may_give_value_away=(
        "send sends list listing delist auction bid offer swap swaps exchange barter convert give gives donate tip "
        "lend loan rent borrow pay refund unstake unwrap export cash"
    ),
    may_give_rights_away="grant delegate allow revoke",
    may_call_what_its_arguments_say="execute exec forwarder relay proxy invoke batch",
)
"""Words that games also use innocently (`sendTroops`, `swapWeapon`, `listQuests`): refused until the manifest says why
this one is harmless."""

GIVING_WITH_ADDRESS: Final = frozenset(
    ("award", "claim", "collect", "credit", "harvest", "issue", "mint", "release", "reward")
)
"""Verbs that are play by themselves (`claim`) and a gift with somebody else's address: `claimTo`, `mintFor`."""

BENEFICIARY_NAMES: Final = frozenset(
    (
        "to",
        "recipient",
        "receiver",
        "beneficiary",
        "destination",
        "dest",
        "payee",
        "spender",
        "operator",
        "heir",
        "buyer",
    )
)
"""Argument names that say who gets something, whatever type carries them: a bytes32 recipient is a bridge's habit."""

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*|\d+")


def name_fault(name: str, harmless: str = "") -> str:
    """Say which word of a function's name reads like giving something away; empty if none does.

    Args:
        name: the function's name in camel case.
        harmless: why it is no such thing; answers a suspicion, never a forbidden word.
    """
    words = _words(name)
    for word in (*words, "".join(words)):
        meaning = FORBIDDEN_WORDS.get(word, "")
        meaning = meaning or next((said for stem, said in FORBIDDEN_STEMS.items() if word.startswith(stem)), "")
        if meaning:
            return f"its name says '{word}', which {meaning}"
        if word in SUSPECT_WORDS and not harmless.strip():
            return f"its name says '{word}', which {SUSPECT_WORDS[word]}; if not, say why in `harmless_name`"
    for verb, after in pairwise(words):
        if verb in GIVING_WITH_ADDRESS and after in ("to", "for"):
            return f"its name says '{verb} {after}', which gives to somebody else"
    return ""


def needs_classification(name: str, kind: AbiType) -> bool:
    """Say whether an argument could name somebody who gets something, or a call that is passed on.

    That is an address, what has exactly its width, raw bytes, anything that contains one of them, or a telling name.
    """
    if kind.canonical in ("address", "uint160", "bytes20", "bytes"):
        return True
    if kind.element is not None:
        return needs_classification(name, kind.element)
    if kind.components:
        return any(needs_classification(field.name, field.type) for field in kind.components)
    return says_beneficiary(name)


def says_beneficiary(name: str) -> bool:
    """Say whether an argument's name, by its first or last word, says who gets something."""
    words = _words(name)
    return bool(words) and not BENEFICIARY_NAMES.isdisjoint((words[0], words[-1]))


def function_fault(function: Function, manifest: FunctionManifest) -> str:
    """Say why a function may not be play; empty if it may.

    The deny list has no exception, and a suspect name has one, with a reason that the player is shown.
    """
    if function.selector in DENIED_SELECTORS:
        return f"its selector {function.selector.hex()} is on the deny list: it moves assets, rights or code"
    if function.state_mutability in ("view", "pure"):
        return "it changes nothing; read it with a call instead"
    if any(parameter.type.canonical.startswith("bytes[") for parameter in function.inputs):
        return "it takes a list of raw bytes, as a multicall does"
    if not manifest.meaning.strip():
        return "it has no `meaning` for the player to agree to"
    return _value_fault(function, manifest) or name_fault(function.name, manifest.harmless_name)


def _value_fault(function: Function, manifest: FunctionManifest) -> str:
    is_payable, limit = function.state_mutability == "payable", manifest.value_per_call_wei_max
    if is_payable and limit is None:
        return "it is payable: write `value_per_call_wei_max`, even if it is 0"
    return "it is not payable and cannot carry value" if limit and not is_payable else ""


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name)]
