import pytest
from msgspec.structs import replace

from gamekit.core.journal import Event, Meta, Row
from gamekit.kit import KINDS
from gamekit.units import Cursor, PlayerId
from tests.core.scopes import START


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.TABLE))
class TestKinds:
    def test_every_named_field_exists(self, kind: type[Row]) -> None:
        named = {*kind.KEY, *kind.INDEX, *(name for group in kind.UNIQUE for name in group)}
        assert named <= set(kind.__struct_fields__)
        assert kind.KEY

    def test_only_a_guarded_row_has_a_guard(self, kind: type[Row]) -> None:
        assert kind.GUARDED is (kind.admit is not Row.admit)


def test_tables_have_names_of_their_own() -> None:
    names = [kind.TABLE for kind in KINDS]
    assert len(names) == len(set(names))


def test_a_row_without_a_guard_replaces_any_other() -> None:
    row = Meta("a", b"1")
    assert row.admit(None) == row.admit(replace(row, value=b"2")) == ""


def test_an_event_is_found_by_cursor_and_player() -> None:
    event = Event(Cursor(1), "settled", PlayerId("alice"), START, b"")
    assert (event.KEY, event.INDEX) == (("cursor",), ("player",))
