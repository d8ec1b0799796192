"""The game that pays for two sessions of each world, and its vouchers."""

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from gamekit.eth.session_paymaster import (
    GAME_OF,
    Voucher,
    decode_game,
    encode_sponsor,
    game_number,
    voucher_digest,
)
from gamekit.units import UnixSeconds, Wei
from tests.accounts.world import CHAIN_ID, Key

if TYPE_CHECKING:
    from tests.proof.escapes.world import World

SPONSORED_GAME: Final = "arena"
GAME: Final = game_number(SPONSORED_GAME)
SPONSOR: Final = Key(0x5B0)
"""Signs vouchers for the game."""
VOUCHER_WEI: Final = 4 * 10**15
"""What the game pays for the session `vouched`: a few operations."""


async def voucher(
    world: "World",
    session: str,
    limit_wei: int = VOUCHER_WEI,
    *,
    signed_for: str = "",
    key: Key = SPONSOR,
    generations_ago: int = 0,
) -> bytes:
    """The calldata that hands a voucher in.

    Args:
        world: where.
        session: whose it is said to be.
        limit_wei: what the game pays in all.
        signed_for: which session it was signed for; empty for the same.
        key: who signs.
        generations_ago: how many generations of the game's sponsor ago.
    """
    paymaster = world.where.paymaster
    assert paymaster is not None
    game = decode_game(await world.call(paymaster, GAME_OF.encode_call(GAME)))
    deadline = UnixSeconds(world.now + 3600)
    made = Voucher(world.account, world.sessions[session].permission, GAME, Wei(limit_wei), deadline)
    signed = replace(made, permission_id=world.sessions[signed_for or session].permission)
    digest = voucher_digest(CHAIN_ID, paymaster, signed, game.generation - generations_ago)
    return encode_sponsor(replace(made, signature=key.sign(digest)))
