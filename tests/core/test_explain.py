"""The words that players agree to. After a change on purpose: `python -m tests.core.test_explain` writes them anew."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from gamekit.accounts import stack
from gamekit.contracts import artifact
from gamekit.core.explain import _ether, describe, explain
from gamekit.core.game import Game, build_game
from gamekit.core.manifest import parse_manifest
from gamekit.core.policy import ArgumentRule, Condition, SpendingLimitPolicy, TimeFramePolicy
from gamekit.core.scope import Scope
from gamekit.eth.hashing import checksum_address
from gamekit.eth.proxy import Accepted
from gamekit.eth.token import UNLIMITED, Approval, Unread
from gamekit.units import ZERO_ADDRESS, Address, NonceKey, UnixSeconds
from tests.core.games import GOLDEN, quest
from tests.core.scopes import ACCOUNT, GAME, MOVE, REVOKER, SIGNER, START, entry, scope_of
from tests.core.towns import town

ARENA = Path(__file__).parents[2] / "examples" / "arena.toml"


def arena() -> Game:
    return build_game(parse_manifest(ARENA.read_text()), artifact("Arena").abi, GAME)


def bound(game: Game, unit: str) -> Scope:
    return game.unit(unit).bind(
        account=ACCOUNT, signer=SIGNER, revoker=REVOKER, nonce_key=NonceKey(1), valid_after=START
    )


def raw() -> Scope:
    """What no unit describes: unknown functions, no pace, odd times."""
    rules = ArgumentRule(0, Condition.EQUAL, 1), SpendingLimitPolicy(1, 9, 1)
    unnamed = entry(MOVE, *rules, target=Address(b"\x77" * 20))
    odd = TimeFramePolicy(UnixSeconds(0), UnixSeconds(100_001))
    return scope_of(entry(MOVE), replace(unnamed, function=""), rate=None, time=odd, revoker=ZERO_ADDRESS)


TEXTS: dict[str, Callable[[], str]] = {
    "arena_play_match": lambda: arena().unit("play_match").explain(),
    "arena_take_a_walk_on_nexus": lambda: arena().unit("take_a_walk").explain(stack("nexus")),
    "arena_play_match_bound": lambda: explain(bound(arena(), "play_match"), arena(), stack("reference")),
    "quest_raid": lambda: quest().unit("raid").explain(stack("reference")),
    "quest_raid_bound": lambda: explain(bound(quest(), "raid"), quest()),
    "town_two": lambda: town().unit("two").explain(),
    "raw": lambda: explain(raw(), quest()),
}


@pytest.mark.parametrize("name", TEXTS)
def test_golden(name: str) -> None:
    assert TEXTS[name]() == (GOLDEN / f"{name}.txt").read_text()


def test_figures_are_those_of_the_scope() -> None:
    figures = describe(bound(quest(), "raid"), quest()).figures
    assert msgspec.to_builtins(figures) == {
        "valid_after": START,
        "valid_until": START + 90 * 60,
        "duration_s": 90 * 60,
        "calls_max": 5_000,
        "calls_at_once_max": 40 + 120_000 // 334,
        "calls_per_minute_max": 40 + 180_000 // 334,
        "calls_per_operation_max": 16,
        "gas_wei_max": 30_000_000_000_000_001,
        "gas_per_operation_wei_max": 3_000_000_000_000_000,
        "value_wei_max": 250_000_000_000_000_000,
        "value_per_call_wei_max": 50_000_000_000_000_000,
        "native_wei_max": 250_000_000_000_000_000,
        "spending_max": {"gold": 1_500},
    }


def test_behavior_without_a_paymaster_gas_leaves_the_account() -> None:
    figures = describe(arena().unit("play_match"), arena()).figures
    assert figures.native_wei_max == figures.gas_wei_max == 500_000_000_000_000_000
    assert (figures.valid_after, figures.valid_until) == (None, None)


def test_behavior_parts_are_json() -> None:
    parts = json.loads(msgspec.json.encode(describe(quest().unit("raid"), quest())))
    assert list(parts) == [
        "title", "may", "until", "pace", "most_lost", "never", "on_account", "revoke", "not_enforced", "figures",
    ]  # fmt: skip


def test_behavior_what_a_proxy_runs_is_accepted_and_can_change() -> None:
    proxies = Accepted(GAME, Address(b"\x22" * 20)), Accepted(Address(b"\x33" * 20), Address(b"\x33" * 20))
    told = describe(bound(quest(), "raid"), quest(), accepted=proxies).not_enforced
    proxy, other = "0x2222222222222222222222222222222222222222", "0x3333333333333333333333333333333333333333"
    assert f"{checksum_address(GAME)} stays what it is: it is a proxy that runs {proxy}, which you accept" in told[-2]
    assert f"{other} runs no other code than its own: it could, and does not say which; you accept it" in told[-1]


def test_behavior_approvals_that_could_not_be_read_are_said() -> None:
    gold = Address(b"\x60" * 20)
    told = describe(bound(quest(), "raid"), quest(), approvals=[Unread(gold), Unread()]).not_enforced[-2:]
    assert told == (
        f"What your account has let the game's contract take of {checksum_address(gold)}: it could not be read.",
        "That your account has let the game's contract take no other token: this could not be read.",
    )


def test_behavior_approvals_are_said_with_amount_and_token() -> None:
    gold, other = Address(b"\x22" * 20), checksum_address(b"\x22" * 20)
    approvals = [Approval(gold, GAME, **what) for what in ({"amount": 1_234}, {"amount": UNLIMITED}, {}, {"item": 7})]
    told = describe(bound(quest(), "raid"), quest(), approvals=approvals).not_enforced[-4:]
    let = f"That {checksum_address(GAME)} leaves alone what it may take: your account has let it take"
    assert told == (
        f"{let} 1,234 of {other}, in that token's smallest units.",
        f"{let} everything that it has of {other}, without limit.",
        f"{let} every item that it has of {other}.",
        f"{let} item 7 of {other}.",
    )


@pytest.mark.parametrize(
    ("wei", "text"),
    [(0, "0 ETH"), (1, "0.000000000000000001 ETH"), (10**18, "1 ETH"), (12_345 * 10**17, "1,234.5 ETH")],
)
def test_behavior_ether_is_exact(wei: int, text: str) -> None:
    assert _ether(wei) == text


def test_behavior_a_time_beyond_the_calendar_is_a_number() -> None:
    frame = TimeFramePolicy(UnixSeconds(2**40), UnixSeconds(2**40 + 60))
    assert "second 1,099,511,627,776" in describe(scope_of(time=frame, rate=None), quest()).until


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for each, text in TEXTS.items():
        (GOLDEN / f"{each}.txt").write_text(text())
