"""The bounds: each holds on good figures, and each is broken by one that is not."""

import pytest

from benchmarks.gas_verdicts import EVERY_CHECK, ONE_ENTRY, OWNER, PEERS, Row, verdicts


def row(signer: str, calls: int, validation_gas: int, account: str = "nexus", operations: int = 1) -> Row:
    return Row(account, "0.7", signer, calls, operations, validation_gas, 200_000, 1_000, (), "")


def good() -> dict[tuple[str, int], int]:
    """Each figure exactly at its bound, or just within."""
    figures = {(OWNER, 1): 19_000}
    for signer, peers in PEERS.items():
        figures |= {(signer, 1): 38_000, (signer, 25): 38_000 + 24 * 3_500}
        figures |= {(peer, 1): 63_334 for peer in peers}
    return figures


def judged(figures: dict[tuple[str, int], int]) -> dict[str, bool]:
    found = verdicts([row(signer, calls, gas) for (signer, calls), gas in figures.items()])
    return {verdict.name: verdict.holds for verdict in found}


def test_verdicts_success_at_the_bounds() -> None:
    found = judged(good())
    assert len(found) == 2 * (3 + 2)
    assert all(found.values())


@pytest.mark.parametrize("signer", [ONE_ENTRY, EVERY_CHECK])
def test_verdicts_finds_each_bound_broken(signer: str) -> None:
    """One unit of gas beyond a bound breaks that one, and no other."""
    cases = {
        f"{signer}: validation of each further call": {(signer, 25): 38_000 + 24 * 3_500 + 1},
        **{f"{signer}: to {peer}": {(peer, 1): 63_333} for peer in PEERS[signer]},
    }
    for name, change in cases.items():
        assert [each for each, holds in judged(good() | change).items() if not holds] == [name]
    # These two have the same figure in them, so they are told apart by the owner's.
    dear = judged(good() | {(signer, 1): 38_001, (OWNER, 1): 19_001} | {(peer, 1): 70_000 for peer in PEERS[signer]})
    assert [each for each, holds in dear.items() if not holds] == [f"{signer}: validation of one call"]
    slow = judged(good() | {(OWNER, 1): 18_999})
    assert [each for each, holds in slow.items() if not holds] == [f"{each}: to the owner's" for each in PEERS]


def test_verdicts_success_other_accounts_and_bundles_do_not_count() -> None:
    rows = [row(signer, calls, gas) for (signer, calls), gas in good().items()]
    others = [row(ONE_ENTRY, 1, 99_000, account="kernel"), row(ONE_ENTRY, 1, 99_000, operations=10)]
    assert all(verdict.holds for verdict in verdicts(rows + others))


def test_verdicts_refuses_a_row_that_was_not_measured() -> None:
    figures = good()
    del figures[EVERY_CHECK, 25]
    with pytest.raises(KeyError):
        judged(figures)
