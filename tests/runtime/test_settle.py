from tests.runtime.world import World, targets


async def test_an_action_goes_from_accepted_to_final(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    assert (await world.action("a")).state == "accepted"
    await world.turn()
    assert (await world.action("a")).state == "ok"
    assert await world.told("a") == ["settled"]
    await world.quiet()
    assert await world.told("a") == ["settled", "final"]
    assert world.ran() == targets("a")
    await world.check()
