"""The numbers in the contracts' README are those of the sources and of the recorded gas."""

import json
import re
from pathlib import Path

import gamekit.contracts

PROJECT = Path(gamekit.contracts.__file__).parent
README = (PROJECT / "README.md").read_text()
AUDITED = {"SessionValidator", "ISessionValidator", "ScopeLib", "CalldataLib", "EnvelopeLib", "GrantLib"} | {
    "TargetLib",
    "GasLib",
    "SlotLib",
    "AllowlistLib",
    "ProxyLib",
    "AssetSelectors",
}


def _lines_of_code(source: Path) -> int:
    stripped = (line.strip() for line in source.read_text().splitlines())
    return sum(1 for line in stripped if line and not line.startswith(("//", "/*", "*")))


def test_lines_of_code_are_counted() -> None:
    stated = {name: int(count) for name, count in re.findall(r"\| `src/(\w+)\.sol` \| (\d+) \|", README)}
    counted = {source.stem: _lines_of_code(source) for source in (PROJECT / "src").glob("*.sol")}
    assert stated == counted
    total = sum(counted[name] for name in AUDITED)
    assert f"| **{total:,}** |" in README


def test_gas_is_as_recorded() -> None:
    recorded = {
        name: f"{int(gas):,}" for name, gas in json.loads((PROJECT / "snapshots" / "Gas.json").read_text()).items()
    }
    figures = ("1_call_validation", "1_call_total", "25_calls_validation", "25_calls_total")
    for account in ("nexus_07", "reference_07", "reference_08"):
        session = " | ".join(recorded[f"{account}_session_{figure}"] for figure in figures)
        assert f"| {session} | {recorded[f'{account}_owner_1_call_validation']} |" in README
    every_check = " | ".join(recorded[f"nexus_07_session_every_check_{figure}"] for figure in figures)
    assert f"| {every_check} |" in README
    assert f"costs {recorded['nexus_07_each_further_call_validation']} for each further call" in README
    assert f"A grant costs {recorded['nexus_07_grant_by_account_total']} once" in README


def test_gas_of_sponsoring_is_as_recorded() -> None:
    recorded = json.loads((PROJECT / "snapshots" / "PaymasterGas.json").read_text())
    found = {name.removeprefix("reference_07_"): int(gas) for name, gas in recorded.items() if "_07_" in name}
    first = found["session_first_of_a_player_total"] - found["session_total"]
    for figure in (found["sponsoring_a_session"], first, found["voucher_total"]):
        assert f"{figure:,}" in README


def test_every_suite_that_it_names_exists() -> None:
    tests = {path.name for path in (PROJECT / "test").rglob("*.sol")}
    for name in re.findall(r"`(?:account/|lib/|paymaster/)?(\w+)\.t\.sol`", README):
        assert f"{name}.t.sol" in tests
    for name in re.findall(r"`(ValidateUserOp(?:Shape|Envelope|Limits|Calls))`", README):
        assert f"{name}.sol" in tests
