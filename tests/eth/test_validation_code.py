"""The table has every code of every EntryPoint, and says what each proves."""

import re
from collections.abc import Callable

import pytest

from gamekit.contracts import artifact
from gamekit.errors import Outcome
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.validation_code import VALIDATION_CODES, Fault, validation_code


@pytest.mark.parametrize("version", EntryPointVersion)
def test_validation_codes_behavior_equal_vectors(
    version: EntryPointVersion, vectors: Callable[[str], dict[str, object]]
) -> None:
    codes = vectors("validation_codes")["codes"]
    assert isinstance(codes, dict)
    ours = sorted(code for code, entry in VALIDATION_CODES.items() if version in entry.versions)
    assert ours == codes[version.value]


@pytest.mark.parametrize(
    ("version", "only_simulated"),
    [(EntryPointVersion.V06, set()), (EntryPointVersion.V07, {"AA20", "AA30"}), (EntryPointVersion.V08, {"AA30"})],
)
def test_validation_codes_behavior_equal_bytecode(version: EntryPointVersion, only_simulated: set[str]) -> None:
    """Every code of the table stands in the code of its version, or in what bundlers simulate it with."""
    code = artifact(f"EntryPoint{version.value.replace('.', '')}").bytecode
    found = {match.decode() for match in re.findall(rb"AA[0-9][0-9](?= )", code)}
    ours = {entry.code for entry in VALIDATION_CODES.values() if version in entry.versions}
    assert ours - only_simulated == found


def test_validation_code_default() -> None:
    found = validation_code("AA25 invalid account nonce")
    assert found is not None
    assert found.code == "AA25"
    assert found.outcome is Outcome.UNKNOWN
    assert validation_code("account: not from EntryPoint") is None
    assert validation_code("") is None


def test_validation_codes_behavior_readings() -> None:
    """Only a nonce needs the chain asked; whoever bundles wrongly may try again with the same operation."""
    unknown = [code for code, entry in VALIDATION_CODES.items() if entry.outcome is Outcome.UNKNOWN]
    retry = [code for code, entry in VALIDATION_CODES.items() if entry.outcome is Outcome.RETRY]
    assert unknown == ["AA25"]
    assert retry == ["AA21", "AA22", "AA27", "AA31", "AA90", "AA91", "AA92", "AA95", "AA97"]
    for code in ("AA23", "AA24"):
        assert VALIDATION_CODES[code].outcome is Outcome.FINAL
        assert VALIDATION_CODES[code].fault is Fault.ACCOUNT


def test_validation_codes_behavior_plain_words() -> None:
    for code, entry in VALIDATION_CODES.items():
        assert code == entry.code
        for text in (entry.meaning, entry.advice):
            assert text[0].isupper()
            assert text.endswith(".")
            assert "AA" not in text
