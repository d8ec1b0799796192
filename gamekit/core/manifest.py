"""The game's manifest as it is written: which functions of which contract are play, and what may be delegated.

Only the form is checked here; what it means and what is refused stands in `game.py` and `lint.py`. The manifest is the
operator's word, never a client's.

::

    name = "arena"
    chain_id = 31337
    address = "0x…"
    abi = "Arena"

    [function.craft]
    play = true
    meaning = "craft an item for yourself"
    gas = 120_000
    beneficiary = ["recipient"]
    rules.amount = { at_most = 10 }

    [contract.bank]
    address = "0x…"
    abi = "Bank"

    [function."bank.save"]
    play = true
    meaning = "put gold into your own safe"

    [unit.play_match]
    meaning = "play one match"
    functions = ["craft"]
    minutes = 30
    gas_budget_wei = 20_000_000_000_000_000
"""

import tomllib
from typing import Literal

import msgspec
from msgspec import Struct

from gamekit.errors import ConfigInvalid

Word = int | str | bool
"""A rule's value: a number, `0x` hexadecimal for addresses and bytes, digits where TOML's 64 bits are too few."""


class RuleManifest(Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for one argument, all together; each rule is enforced on chain."""

    equal: Word | None = None
    not_equal: Word | None = None
    at_most: Word | None = None
    """Inclusive; unsigned arguments only, since the contract compares unsigned."""
    at_least: Word | None = None
    """Inclusive; unsigned arguments only."""
    one_of: tuple[Word, ...] = ()
    total_at_most: Word | None = None
    """Inclusive: cap on the sum over all calls of a session."""
    of: str = ""
    """What `total_at_most` counts, such as `gold`. Rules that name the same share one cap."""


class FunctionManifest(Struct, frozen=True, forbid_unknown_fields=True):
    """One function of a contract of the game.

    Its key is the name, or the whole signature where names are overloaded; after `NAME.` in a further contract.
    """

    play: bool = False
    """Whether sessions may call it. Listing one with `play = false` only documents that it is not."""
    meaning: str = ""
    """Plain English for the player's consent: what calling it does. Reads on from "The key can"."""
    gas: int = 0
    """Ceiling of one call's gas; 0 takes the configured default."""
    beneficiary: tuple[str, ...] = ()
    """Address arguments that receive something: pinned to the player's own account on chain."""
    reference: dict[str, str] = {}
    """Arguments that name somebody or something without giving them anything, each with what it means."""
    rules: dict[str, RuleManifest] = {}
    """Rules by argument name; a field of a static struct as `order.amount`."""
    value_per_call_wei_max: int | None = None
    """Native currency that one call may carry. Must be written for payable functions, even as 0."""
    harmless_name: str = ""
    """Why the name is no withdrawal although it reads like one (`sendTroops`); the player is shown it."""


class UnitManifest(Struct, frozen=True, forbid_unknown_fields=True):
    """A unit of delegation: one clear business action that a player agrees to."""

    meaning: str
    """Plain English for the player's consent. Reads on from "This key is for you to"."""
    functions: tuple[str, ...]
    """Keys of functions that are play."""
    gas_budget_wei: int
    """Most that the session may burn in gas over its life, in wei."""
    gas_per_operation_wei_max: int | None = None
    """Most for one operation, in wei; by default a tenth of the budget."""
    minutes: int = 30
    rate_per_s: float = 10.0
    """Calls each second that refill; a pace slower than one a second is a fraction."""
    burst: int = 64
    """Calls at once after a pause; at least `calls_max`."""
    calls_max: int = 32
    """Most calls in one operation, 1 to 64."""
    uses_max: int | None = None
    """Most calls in all; by default what the pace admits."""
    value_total_wei_max: int = 0
    """Native currency that all calls together may carry, in wei."""
    paymaster: str = ""
    """Who pays for gas, and may not be left out: empty for the account itself; `configured` for the SessionPaymaster
    that the configuration names for the account's entry point; or the address of exactly that one."""
    sponsored_by: Literal["voucher", "signature"] = "voucher"
    """How the game says that it pays: once for a session, or once for each operation."""
    sponsored_wei_max: int | None = None
    """Most that the game pays for one session, in wei, each operation counted at the most that it can cost; by default
    the whole gas budget."""


class ContractManifest(Struct, frozen=True, forbid_unknown_fields=True):
    """A further contract of the game. Its functions go by `NAME.function`, where NAME is its key."""

    abi: str
    """As the game's own."""
    address: str = ""
    """Empty only where it is known after deployment and given then."""


class GameManifest(Struct, frozen=True, forbid_unknown_fields=True):
    """One game on one chain, in one contract or several."""

    name: str
    chain_id: int
    abi: str
    """Name of a compiled contract, or path of a JSON file; read by whoever loads the manifest."""
    function: dict[str, FunctionManifest]
    unit: dict[str, UnitManifest]
    address: str = ""
    """The game's contract. Empty only where it is known after deployment and given then."""
    tokens: tuple[str, ...] = ()
    """Addresses of tokens that players have: what their accounts have let the game's contracts take of these is said to
    them before they agree. Sessions can call none of them."""
    contract: dict[str, ContractManifest] = {}
    """Further contracts by name; the functions without a name before them are those of the game's own contract."""


def parse_manifest(text: str) -> GameManifest:
    """Read a manifest from TOML.

    Raises: ConfigInvalid naming the field that is missing, unknown or of the wrong type.
    """
    try:
        return msgspec.convert(tomllib.loads(text), GameManifest)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigInvalid(f"game manifest: {error}") from error
