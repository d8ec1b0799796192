"""A game of two contracts: one session plays both, by a list of functions too long to show whole."""

from gamekit.core.action import ActionRequest
from gamekit.errors import GamekitError
from gamekit.eth.scope_form import ScopeForm
from gamekit.testing.scenery import Keys
from tests.core.towns import BANK, FULL, TOWN, town
from tests.core.towns import keys as names
from tests.runtime.world import World


async def test_twenty_functions_of_two_contracts(keys: Keys) -> None:
    world = World(keys, games=[town()])
    await world.start()
    session = await world.open(game="town", unit="all")
    row = world.kit.session_row(session)
    assert len(ScopeForm(row.scope).signed) == 224, "a root stands for the list"
    world.chain.reverts = lambda call: FULL.encode(9) if int.from_bytes(call.data[4:36], "big") == 7 else None
    asked = [ActionRequest(key, key, (place,)) for place, key in enumerate(names())]
    answers = await world.kit.accept(session, asked)
    assert not [each for each in answers if isinstance(each, GamekitError)]
    await world.quiet()
    assert [(each.call.target, each.call.data) for each in world.chain.executed] == [
        (BANK if key.startswith("bank.") else TOWN, town().encode(key, [place]).data)
        for place, key in enumerate(names())
    ]
    states = await world.states()
    assert states == {key: "reverted" if place == 7 else "ok" for place, key in enumerate(names())}
    (operation,) = [each for each in await world.operations() if any(not told.succeeded for told in each.outcomes)]
    assert {told.error for told in operation.outcomes if not told.succeeded} == {"Full(vault=9)"}


async def test_a_contract_beside_the_games_own_is_watched_too(keys: Keys) -> None:
    world = World(keys, games=[town()])
    await world.start()
    world.chain.codes[BANK] = b"\x61"
    await world.block(11)
    (pause,) = world.kit.state.pauses
    assert pause.subject == "game:town"
