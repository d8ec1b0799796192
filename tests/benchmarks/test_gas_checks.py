"""Lists of functions: their two forms whatever their length, and where a proof begins to pay."""

from benchmarks.gas_checks import crossover, listed
from gamekit.eth.scope_form import ENTRIES_AT, ScopeForm, entries_of, is_long

ENTRIES = [bytes([number]) * 24 + bytes(8) for number in range(1, 4)]
SHORT = b"\x11" * ENTRIES_AT + bytes((3, 0)) + b"\x22" * (192 - ENTRIES_AT - 2) + b"".join(ENTRIES)


def test_listed_success_the_same_list_in_either_form() -> None:
    long = listed(SHORT, 0)
    assert is_long(long)
    assert not is_long(SHORT)
    assert entries_of(long) == entries_of(SHORT) == ENTRIES
    assert listed(long, 3) == SHORT
    assert len(ScopeForm(long).signed) == 224 < len(ScopeForm(SHORT).signed) == 192 + 3 * 32


def test_crossover_success_the_shortest_that_pays() -> None:
    rows = [
        {"entries": entries, "form": form, "total_gas": gas}
        for entries, inline, merkle in ((8, 100, 101), (9, 102, 102), (10, 103, 102), (32, 200, 103))
        for form, gas in (("inline", inline), ("merkle", merkle))
    ]
    assert crossover(rows) == 10
    assert crossover(rows[:4]) is None
    assert crossover([row for row in rows if row["form"] == "inline"]) is None
