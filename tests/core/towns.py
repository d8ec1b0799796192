"""A game of two contracts with ten functions each, the same ones: only the contract tells them apart."""

from gamekit.core.game import Game, build_game
from gamekit.core.manifest import parse_manifest
from gamekit.eth.hashing import checksum_address
from gamekit.eth.interface import CustomError
from gamekit.units import Address

TOWN, BANK = Address(b"\xb0" * 20), Address(b"\x20" * 20)
"""The further contract has the lower address, so that the order of a scope is not that of the manifest."""

FULL = CustomError.parse("Full(uint256 room)")
EACH = 10


def abi(room: str) -> list[dict[str, object]]:
    """Ten functions, and one error whose argument has the contract's own name for it."""
    functions: list[dict[str, object]] = [
        {
            "type": "function",
            "name": f"play{number}",
            "stateMutability": "nonpayable",
            "outputs": [],
            "inputs": [{"name": "number", "type": "uint256"}],
        }
        for number in range(EACH)
    ]
    return [*functions, {"type": "error", "name": "Full", "inputs": [{"name": room, "type": "uint256"}]}]


def keys() -> list[str]:
    return [f"{contract}play{number}" for number in range(EACH) for contract in ("", "bank.")]


def manifest(bank: Address | None = BANK) -> str:
    """Every function is play; `all` allows all of them, `two` one of each contract."""
    functions = "".join(
        f'[function."{key}"]\nplay = true\nmeaning = "do {key}"\ngas = 60_000\nrules.number.at_most = 1_000\n'
        for key in keys()
    )
    unit = "gas_budget_wei = 900_000_000_000_000_000\nrate_per_s = 100\nburst = 640\nuses_max = 400\n"
    address = "" if bank is None else f'address = "{checksum_address(bank)}"'
    return f"""
name = "town"
chain_id = 31337
address = "{checksum_address(TOWN)}"
abi = "town.json"
[contract.bank]
{address}
abi = "bank.json"
{functions}
[unit.all]
meaning = "do everything"
functions = {keys()}
{unit}
[unit.two]
meaning = "do two things"
functions = ["play1", "bank.play1"]
{unit}
"""


def town(bank: Address | None = None) -> Game:
    further = {"bank": (abi("vault"), bank)}
    return build_game(parse_manifest(manifest(None if bank else BANK)), abi("square"), further=further)
