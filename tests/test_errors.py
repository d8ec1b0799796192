import re
from collections.abc import Iterator

import pytest

from gamekit import errors
from gamekit.errors import CallReverted, GamekitError, Outcome, Overloaded


def tree(root: type[GamekitError] = GamekitError) -> Iterator[type[GamekitError]]:
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
            yield from tree(kind)


ALL = list(tree())


def drawn() -> list[tuple[str, int, str]]:
    """The tree in the module's docstring: name, depth, outcome if it says one."""
    found = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^    ([│├└─ ]*)([A-Z]\w+)(?: {2,}.*?(FINAL|RETRY|UNKNOWN)?)?$", line)
        if match:
            found.append((match[2], len(match[1]) // 4, match[3] or ""))
    return found


def test_the_drawing_is_the_tree() -> None:
    names = [name for name, _, _ in drawn()]
    assert names == ["GamekitError", *(kind.__name__ for kind in ALL)]


@pytest.mark.parametrize(("name", "depth", "outcome"), drawn())
def test_the_drawing_says_depth_and_outcome(name: str, depth: int, outcome: str) -> None:
    kind = getattr(errors, name)
    assert len(kind.__mro__) - len(GamekitError.__mro__) == depth
    if outcome:
        assert kind.outcome.name == outcome


def test_codes_are_words_of_their_own() -> None:
    codes = [kind.code for kind in ALL]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch("[a-z_]+", code) for code in codes)


def test_what_was_compared_is_kept() -> None:
    error = Overloaded("the lane is full", queue="lane", depth=3, depth_max=3)
    assert error.compared == {"queue": "lane", "depth": 3, "depth_max": 3}
    assert str(error) == "the lane is full"
    assert error.outcome is Outcome.RETRY


def test_plain_data_holds_bytes_as_hexadecimal() -> None:
    assert GamekitError("no", found=b"\xde\xad", limit=5).to_dict() == {
        "code": "error",
        "outcome": "final",
        "message": "no",
        "compared": {"found": "dead", "limit": 5},
    }


def test_a_revert_carries_its_data() -> None:
    error = CallReverted("reverted", b"\x01", method="eth_call")
    assert error.data == b"\x01"
    assert error.compared == {"data": b"\x01", "method": "eth_call"}
    assert CallReverted("reverted").data == b""
