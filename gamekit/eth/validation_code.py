"""The AAxx codes with which an EntryPoint refuses an operation: what each means, whose fault it is, what to do.

Source: the EntryPoint contracts 0.6, 0.7, 0.8 and 0.9.0-rc.1; the advice follows from what each code proves.
"""

from enum import Enum
from typing import Final

from msgspec import Struct

from gamekit.errors import Outcome
from gamekit.eth.entry_point_version import EntryPointVersion

_V06: Final = frozenset((EntryPointVersion.V06,))
_V07: Final = frozenset((EntryPointVersion.V07,))
_V08: Final = frozenset((EntryPointVersion.V08,))
_V09: Final = frozenset((EntryPointVersion.V09,))
_ALL: Final = frozenset(EntryPointVersion)


class Fault(Enum):
    """Who caused a refusal."""

    FACTORY = "factory"
    ACCOUNT = "account"
    """The operation's own fields, its signature or the account's code."""
    PAYMASTER = "paymaster"
    BUNDLER = "bundler"
    """Whoever sent handleOps: the operation is not to blame."""


class ValidationCode(Struct, frozen=True):
    """One AAxx code."""

    code: str
    meaning: str
    """In plain words, for a person."""
    fault: Fault
    outcome: Outcome
    """Whether the same bytes may be sent again: FINAL never, RETRY later, UNKNOWN once the chain has been asked."""
    advice: str
    """What to do, in plain words."""
    versions: frozenset[EntryPointVersion]
    """Which EntryPoints use it."""


def validation_code(reason: str) -> ValidationCode | None:
    """Find the code that a reason such as `AA25 invalid account nonce` starts with, or None if it has none."""
    return VALIDATION_CODES.get(reason[:4])


def _code(
    code: str,
    meaning: str,
    fault: Fault,
    advice: str,
    *,
    versions: frozenset[EntryPointVersion] = _ALL,
    outcome: Outcome = Outcome.FINAL,
) -> ValidationCode:
    return ValidationCode(code, meaning, fault, outcome, advice, versions)


VALIDATION_CODES: Final = {
    entry.code: entry
    for entry in (
        _code(
            "AA10",
            "The operation wants to create an account that exists already.",
            Fault.FACTORY,
            "Plan the same actions again without factory and factory data: somebody deployed the account first.",
            versions=_ALL - _V09,
        ),
        _code(
            "AA13",
            "The factory, or the first call of a delegated account, reverted or ran out of gas.",
            Fault.FACTORY,
            "Stop this account: its factory is wrongly configured, or the verification gas limit is far too low.",
        ),
        _code(
            "AA14",
            "The factory returned another address than the operation's sender.",
            Fault.FACTORY,
            "Stop this account: factory, salt or owner do not belong to this sender.",
        ),
        _code(
            "AA15",
            "The factory returned the sender's address but created nothing there.",
            Fault.FACTORY,
            "Stop this account: its factory is wrongly configured.",
        ),
        _code(
            "AA20",
            "There is no account at the sender's address and no factory to create it.",
            Fault.ACCOUNT,
            "Deploy the account first, or stop it: the sender may be on another chain.",
        ),
        _code(
            "AA21",
            "The account's deposit and balance do not cover the most that the operation may cost.",
            Fault.ACCOUNT,
            "Hold the lane and ask the owner for a top-up; the same bytes are good afterwards while they live.",
            outcome=Outcome.RETRY,
        ),
        _code(
            "AA22",
            "The operation's time range has passed, or has not begun.",
            Fault.ACCOUNT,
            "Not begun: send again later. Passed: sign again in the same slot, or leave it once that is final.",
            outcome=Outcome.RETRY,
        ),
        _code(
            "AA23",
            "The account's validation reverted: the session validator refused, or validation ran out of gas.",
            Fault.ACCOUNT,
            "Read the inner error. A policy means that our own check was looser than the contract: raise an alarm.",
        ),
        _code(
            "AA24",
            "The signature is not that of the session key over this operation, chain and EntryPoint.",
            Fault.ACCOUNT,
            "Stop signing for this session and raise an alarm: key, hash or chain is wrong.",
        ),
        _code(
            "AA25",
            "The nonce is not the next one on its key: it was used already, or one before it is missing.",
            Fault.ACCOUNT,
            "First ask the chain who used it. Our own operation: it landed. A foreign one: plan again.",
            outcome=Outcome.UNKNOWN,
        ),
        _code(
            "AA26",
            "Validation used more gas than the verification gas limit.",
            Fault.ACCOUNT,
            "Estimate again once with more verification gas, in the same slot.",
            versions=_ALL - _V06,
        ),
        _code(
            "AA27",
            "The operation is outside its range of block numbers.",
            Fault.ACCOUNT,
            "Not begun: send again later. Passed: sign again in the same slot, or leave it once that is final.",
            versions=_V09,
            outcome=Outcome.RETRY,
        ),
        _code(
            "AA30",
            "There is no paymaster at its address.",
            Fault.PAYMASTER,
            "Drop this paymaster's configuration.",
            versions=_ALL - _V09,
        ),
        _code(
            "AA31",
            "The paymaster's deposit does not cover the most that the operation may cost.",
            Fault.PAYMASTER,
            "Hold, or take another paymaster; the same bytes are good again once it has topped up.",
            outcome=Outcome.RETRY,
        ),
        _code(
            "AA32",
            "The paymaster's time range has passed, or has not begun.",
            Fault.PAYMASTER,
            "Ask for new paymaster data: another hash, so sign again in the same slot.",
        ),
        _code(
            "AA33",
            "The paymaster's validation reverted.",
            Fault.PAYMASTER,
            "Ask the paymaster once more, then refuse.",
        ),
        _code(
            "AA34",
            "The paymaster's signature is wrong.",
            Fault.PAYMASTER,
            "Ask the paymaster once more, then refuse.",
        ),
        _code(
            "AA36",
            "The paymaster's validation used more gas than its verification gas limit.",
            Fault.PAYMASTER,
            "Estimate again once with more paymaster verification gas, in the same slot.",
            versions=_ALL - _V06,
        ),
        _code(
            "AA37",
            "The paymaster's range of block numbers has passed, or has not begun.",
            Fault.PAYMASTER,
            "Ask for new paymaster data: another hash, so sign again in the same slot.",
            versions=_V09,
        ),
        _code(
            "AA40",
            "Validation and prefund used more gas than the verification gas limit.",
            Fault.ACCOUNT,
            "Estimate again once with more verification gas, in the same slot.",
            versions=_V06,
        ),
        _code(
            "AA41",
            "Too little verification gas was left for the paymaster.",
            Fault.ACCOUNT,
            "Estimate again once with more verification gas, in the same slot.",
            versions=_V06,
        ),
        _code(
            "AA50",
            "The paymaster's work after the operation reverted.",
            Fault.PAYMASTER,
            "Quarantine the paymaster.",
            versions=_V06,
        ),
        _code(
            "AA51",
            "The operation cost more than was paid for it beforehand.",
            Fault.PAYMASTER,
            "Quarantine the paymaster.",
            versions=_V06,
        ),
        _code(
            "AA90",
            "The bundle named no beneficiary.",
            Fault.BUNDLER,
            "Fix the bundle: the beneficiary must be an address other than zero.",
            versions=_ALL - _V09,
            outcome=Outcome.RETRY,
        ),
        _code(
            "AA91",
            "The beneficiary would not take the collected fees.",
            Fault.BUNDLER,
            "Fix the bundle: the beneficiary must be able to receive the chain's currency.",
            versions=_ALL - _V09,
            outcome=Outcome.RETRY,
        ),
        _code(
            "AA92",
            "Somebody other than the EntryPoint called its inner function.",
            Fault.BUNDLER,
            "Fix the bundle: only handleOps is to be called.",
            versions=_ALL - _V09,
            outcome=Outcome.RETRY,
        ),
        _code(
            "AA93",
            "The paymaster data is too short to name a paymaster and its gas limits.",
            Fault.PAYMASTER,
            "Drop this paymaster's configuration.",
            versions=_ALL - _V09,
        ),
        _code(
            "AA94",
            "A gas limit or a fee is too large to be added up.",
            Fault.ACCOUNT,
            "Plan again with limits and fees below 2**120.",
        ),
        _code(
            "AA95",
            "The handleOps transaction carried too little gas for what its operations may use.",
            Fault.BUNDLER,
            "Send the bundle again with more gas; no operation is to blame.",
            outcome=Outcome.RETRY,
        ),
        _code(
            "AA96",
            "The signature aggregator is not a valid one.",
            Fault.BUNDLER,
            "Take the operation out of the aggregated bundle; gamekit uses no aggregator.",
            versions=_V06 | _V07,
        ),
        _code(
            "AA97",
            "The contract that creates senders was called by somebody other than the EntryPoint.",
            Fault.BUNDLER,
            "Fix the bundle: only handleOps is to be called.",
            versions=_V08,
            outcome=Outcome.RETRY,
        ),
        _code(
            "AA98",
            "The paymaster is the zero address.",
            Fault.PAYMASTER,
            "Leave the paymaster out, or name one.",
            versions=_V08,
        ),
        _code(
            "AA99",
            "The init code is too short to name a factory.",
            Fault.FACTORY,
            "Stop this account: its factory is wrongly configured.",
            versions=_V08 | _V09,
        ),
    )
}
"""All codes, by code."""
