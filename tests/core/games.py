"""A small game for tests: every kind of function that a manifest can speak of."""

from pathlib import Path

import msgspec

from gamekit.core.game import Game, build_game
from gamekit.core.manifest import FunctionManifest, GameManifest, UnitManifest, parse_manifest
from gamekit.eth.abi_text import parse_parameters
from tests.core.scopes import GAME

GOLDEN = Path(__file__).parents[1] / "golden" / "explain"

ABI: list[dict[str, object]] = [
    {
        "type": "function",
        "name": text.partition("(")[0],
        "inputs": [
            {"name": each.name, "type": each.type.canonical, "indexed": each.indexed}
            for each in parse_parameters(text.partition("(")[2][:-1])
        ],
        "stateMutability": mutability,
    }
    for text, mutability in (
        ("move(int16 dx,int16 dy)", "nonpayable"),
        ("attack(address opponent,uint16 strength)", "nonpayable"),
        ("craft(uint256 recipe,uint256 amount,address recipient)", "nonpayable"),
        ("brew(uint256 gold)", "nonpayable"),
        ("forge(uint256 gold,uint8 metal)", "nonpayable"),
        ("enter(uint256 arena)", "payable"),
        ("wager(uint256 stake)", "payable"),
        ("sendTroops(uint256 count)", "nonpayable"),
        ("sellItem(uint256 id)", "nonpayable"),
        ("claimTo(uint256 id)", "nonpayable"),
        ("transfer(address to,uint256 amount)", "nonpayable"),
        ("scores(address player)", "view"),
        ("playAll(bytes[] calls)", "nonpayable"),
        ("say(string words,bytes extra)", "nonpayable"),
        ("step(uint8 to)", "nonpayable"),
        ("step(uint8 x,uint8 y)", "nonpayable"),
        ("invite(address[] friends)", "nonpayable"),
        ("hire(address to)", "nonpayable"),
    )
]
ABI.append({"type": "error", "name": "NotEnoughGold", "inputs": [{"name": "has", "type": "uint256"}]})

UNIT = UnitManifest(meaning="play", functions=("move",), gas_budget_wei=10**16)


def function_of(meaning: object = "do something", **settings: object) -> FunctionManifest:
    return msgspec.convert({"play": True, "meaning": meaning, **settings}, FunctionManifest)


def game_of(functions: dict[str, FunctionManifest] | None = None, units: dict[str, UnitManifest] | None = None) -> Game:
    """A game of these functions, `move` unless said otherwise, and these units."""
    manifest = GameManifest(
        name="quest",
        chain_id=31337,
        abi="quest.json",
        function={"move": function_of("walk"), **(functions or {})},
        unit={"play": UNIT} if units is None else units,
    )
    return build_game(manifest, ABI, GAME)


def quest() -> Game:
    """A game whose unit `raid` uses everything that a unit can say."""
    return build_game(parse_manifest(QUEST), ABI)


QUEST = """
name = "quest"
chain_id = 8453
address = "0x6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a"
abi = "quest.json"

[function.attack]
play = true
meaning = "attack another player"
gas = 70_000
reference.opponent = "who is attacked; gets nothing by it"
rules.strength = { at_least = 1, at_most = 100, not_equal = 13 }

[function.craft]
play = true
meaning = "craft an item for yourself"
beneficiary = ["recipient"]
rules.recipe = { one_of = [3, 5, "7"] }
rules.amount = { equal = 1 }

[function.brew]
play = true
meaning = "brew a potion"
rules.gold = { total_at_most = 1_500, of = "gold" }

[function.forge]
play = true
meaning = "forge a weapon"
rules.gold = { total_at_most = 1_500, of = "gold" }

[function.enter]
play = true
meaning = "enter an arena for a fee"
value_per_call_wei_max = 50_000_000_000_000_000

[function.sendTroops]
play = true
meaning = "send your troops to the front"
harmless_name = "troops stay yours"

[unit.raid]
meaning = "take part in a raid"
functions = ["attack", "craft", "brew", "forge", "enter", "sendTroops"]
minutes = 90
rate_per_s = 3
burst = 40
calls_max = 16
uses_max = 5_000
gas_budget_wei = 30_000_000_000_000_001
gas_per_operation_wei_max = 3_000_000_000_000_000
value_total_wei_max = 250_000_000_000_000_000
paymaster = "0x9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a"
"""
