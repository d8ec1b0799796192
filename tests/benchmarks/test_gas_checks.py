"""Lists of functions: the tree that a proof climbs, and where it begins to pay."""

import pytest

from benchmarks.gas_checks import crossover, merkle_proof
from gamekit.eth.hashing import keccak256

LEAVES = [keccak256(bytes([number])) for number in range(7)]


def pair(first: bytes, second: bytes) -> bytes:
    return keccak256(min(first, second) + max(first, second))


def test_merkle_proof_success_one_leaf_is_the_root() -> None:
    assert merkle_proof(LEAVES[:1], 0) == (LEAVES[0], [])


def test_merkle_proof_success_an_odd_one_goes_up_as_it_is() -> None:
    first, second, third = LEAVES[:3]
    root = pair(pair(first, second), third)
    assert merkle_proof(LEAVES[:3], 0) == (root, [second, third])
    assert merkle_proof(LEAVES[:3], 2) == (root, [pair(first, second)])


@pytest.mark.parametrize("count", range(1, 8))
def test_merkle_proof_success_every_leaf_climbs_to_the_root(count: int) -> None:
    roots = set()
    for index, leaf in enumerate(LEAVES[:count]):
        root, siblings = merkle_proof(LEAVES[:count], index)
        climbed: bytes = leaf
        for sibling in siblings:
            climbed = pair(climbed, sibling)
        assert climbed == root
        roots.add(root)
    assert len(roots) == 1


def test_crossover_success_the_shortest_that_pays() -> None:
    rows = [
        {"entries": entries, "form": form, "total_gas": gas}
        for entries, inline, merkle in ((8, 100, 101), (9, 102, 102), (10, 103, 102), (32, 200, 103))
        for form, gas in (("inline", inline), ("merkle", merkle))
    ]
    assert crossover(rows) == 10
    assert crossover(rows[:4]) is None
    assert crossover([row for row in rows if row["form"] == "inline"]) is None
