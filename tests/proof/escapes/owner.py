"""What the account's owner does in a row: by operations of the owner's wallet."""

from gamekit.eth.calldata import Call
from tests.proof.escapes.model import Do
from tests.proof.escapes.world import World


def owner_does(*calls: Call) -> Do:
    """An operation that the owner's wallet signed."""

    async def act(world: World) -> None:
        await world.act_as_owner(*calls)

    return Do(act)
