import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.errors import EncodingInvalid
from gamekit.eth.hashing import keccak256
from gamekit.eth.scope_form import (
    ENTRY_LENGTH,
    HEADER_LENGTH,
    MERKLE_LENGTH,
    RULE_LENGTH,
    RULES_AT,
    ScopeForm,
    entries_of,
    is_long,
    shown_scope,
)
from tests.eth.scopes import scope_bytes


def leaf(number: int, rules: int = 0) -> bytes:
    """An entry of a long list, with so many rules behind it."""
    entry = number.to_bytes(24, "big") + bytes((0, rules)) + bytes(6)
    return entry + b"".join(bytes((rule,)) * RULE_LENGTH for rule in range(rules))


def long_list(*leaves: bytes) -> bytes:
    return bytes(range(54)) + bytes(2) + bytes(HEADER_LENGTH - 56) + b"".join(leaves)


def climb(data: bytes, at: int, rules: int) -> tuple[bytes, int]:
    """Follow one witness to its root, as the contract does; gives the root and where the witness ends."""
    end = at + ENTRY_LENGTH + RULE_LENGTH * rules
    found, depth = keccak256(data[at:end]), data[end]
    at = end + 1
    for _ in range(depth):
        sibling = data[at : at + 32]
        found = keccak256(min(found, sibling) + max(found, sibling))
        at += 32
    return found, at


@pytest.mark.parametrize("scope", [scope_bytes(entries=[bytes(24)])[:-32], long_list(), long_list(leaf(1, 1))[:-1]])
def test_entries_of_error_length(scope: bytes) -> None:
    with pytest.raises(EncodingInvalid, match="its counts say"):
        entries_of(scope)


@pytest.mark.parametrize("scope", [b"", bytes(191)])
def test_entries_of_error_no_header(scope: bytes) -> None:
    with pytest.raises(EncodingInvalid, match="at least 192"):
        entries_of(scope)


def test_entries_of_default() -> None:
    entries = [b"\x01" * 24, b"\x02" * 24]
    assert entries_of(scope_bytes(entries=entries, rules=2)) == [entry + bytes(8) for entry in entries]


def test_entries_of_long_list() -> None:
    leaves = [leaf(1), leaf(2, 3), leaf(3, 1)]
    assert entries_of(long_list(*leaves)) == leaves


def test_entries_of_error_long_list_that_counts_rules() -> None:
    """As GrantLib, for which they are reserved; a short list of the same bytes is none of its business."""
    good = long_list(leaf(1, 1), leaf(2))
    assert len(entries_of(good)) == 2
    bad = good[:RULES_AT] + b"\x01" + good[RULES_AT + 1 :]
    for read in (entries_of, ScopeForm):
        with pytest.raises(EncodingInvalid, match="counts no rules, got 1"):
            read(bad)


def test_scope_form_short_list_is_one_form() -> None:
    scope = scope_bytes(entries=[b"\x01" * 24])
    form = ScopeForm(scope)
    assert form.signed == form.granted == scope
    assert form.show(form.places([0, 0])) == (bytes(2), b"")
    assert form.shown_bytes_max(5) == 5


@given(st.integers(1, 40), st.data())
def test_scope_form_every_witness_leads_to_the_root(count: int, data: st.DataObject) -> None:
    leaves = [leaf(number + 1, number % 3) for number in range(count)]
    form = ScopeForm(long_list(*leaves))
    assert len(form.signed) == MERKLE_LENGTH
    assert is_long(form.signed)
    for place in range(count):
        witness = form.witness(place)
        root, end = climb(witness, 0, place % 3)
        assert (root, end) == (form.signed[HEADER_LENGTH:], len(witness))
    entries = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=64))
    hints, witnesses = form.show(form.places(entries))
    assert len(hints) + len(witnesses) <= form.shown_bytes_max(len(entries))
    used = list(dict.fromkeys(entries))
    assert [used[hint] for hint in hints] == entries
    assert witnesses == b"".join(map(form.witness, used))


def test_scope_form_no_leaf_is_a_pair() -> None:
    # 32 bytes and a whole number of rules are never the 64 bytes of two hashes.
    assert all(len(leaf(1, rules)) != 64 for rules in range(256))


@pytest.mark.parametrize("place", [-1, 2])
def test_witness_error_no_such_place(place: int) -> None:
    with pytest.raises(EncodingInvalid, match="2 entries"):
        ScopeForm(long_list(leaf(1), leaf(2))).witness(place)


def test_shown_scope_is_the_short_list_of_what_was_used() -> None:
    form = ScopeForm(long_list(leaf(1), leaf(2, 2), leaf(3, 1)))
    _, witnesses = form.show(form.places([2, 1, 2]))
    short = shown_scope(form.signed, witnesses)
    first, second = entries_of(short)
    assert (first[:24], second[:24]) == (leaf(2)[:24], leaf(3)[:24])
    assert (first[24:26], second[24:26]) == (bytes((0, 2)), bytes((2, 1)))
    assert short[-3 * RULE_LENGTH :] == leaf(2, 2)[ENTRY_LENGTH:] + leaf(3, 1)[ENTRY_LENGTH:]
    assert short[:54] == form.signed[:54]


def test_shown_scope_of_a_short_list_is_itself() -> None:
    scope = scope_bytes(entries=[b"\x01" * 24])
    assert shown_scope(scope, b"") == scope


@pytest.mark.parametrize("cut", [1, 33, 100])
def test_shown_scope_error_cut(cut: int) -> None:
    form = ScopeForm(long_list(leaf(1), leaf(2, 2), leaf(3, 1)))
    _, witnesses = form.show(form.places([1]))
    with pytest.raises(EncodingInvalid, match="end within"):
        shown_scope(form.signed, witnesses[:-cut])


@pytest.mark.parametrize(
    "leaves", [[leaf(at) for at in range(256)], [leaf(1, 255), leaf(2, 1)]], ids=["entries", "rules"]
)
def test_shown_scope_error_more_than_a_short_list_counts(leaves: list[bytes]) -> None:
    form = ScopeForm(long_list(*leaves))
    with pytest.raises(EncodingInvalid, match="more than 255"):
        shown_scope(form.signed, b"".join(map(form.witness, range(len(leaves)))))
    assert shown_scope(form.signed, b"".join(map(form.witness, range(len(leaves) - 1))))
