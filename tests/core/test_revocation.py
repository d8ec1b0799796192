from gamekit.core.revocation import revocation
from gamekit.core.tracking import CONSUMED
from gamekit.units import UnixSeconds
from tests.core.rows import PERMISSION, action, actions, lane, live, operation
from tests.core.scopes import START

NOW = UnixSeconds(START + 50)


def test_nothing_in_flight_is_over_at_once() -> None:
    told = revocation(lane(), NOW)
    assert (told.permission_id, told.revoked_at, told.refused_actions) == (PERMISSION, NOW, 0)
    assert (told.in_flight, told.dead_by) == ((), NOW)


def test_what_waits_is_counted() -> None:
    found = lane()
    found.ready.extend(actions(1, 2))
    assert revocation(found, NOW).refused_actions == 2


def test_every_variant_in_flight_is_named_until_the_last_is_dead() -> None:
    found = lane()
    variants = operation(1), operation(2, deadline=UnixSeconds(START + 150))
    found.open_slot(live(0, action(1), variants=variants))
    told = revocation(found, NOW)
    assert told.in_flight == tuple(each.user_op_hash for each in variants)
    assert told.dead_by == START + 150


def test_what_is_included_is_not_in_flight_and_a_reorg_may_let_it_land_again() -> None:
    found = lane()
    found.open_slot(live(0, action(1), state=CONSUMED, variants=(operation(1, deadline=UnixSeconds(START + 150)),)))
    told = revocation(found, NOW)
    assert (told.in_flight, told.dead_by) == ((), START + 150)


def test_a_deadline_that_has_passed_is_over() -> None:
    found = lane()
    found.open_slot(live(0, action(1), state=CONSUMED, variants=(operation(1, deadline=UnixSeconds(START + 49)),)))
    assert revocation(found, NOW).dead_by == NOW
