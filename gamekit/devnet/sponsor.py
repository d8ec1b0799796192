"""Games that pay for their players, on a devnet: deposit, stake, sponsor and caps of a paymaster."""

from msgspec import Struct

from gamekit.devnet.deployment import OPERATOR
from gamekit.devnet.node import DevnetNode
from gamekit.eth.session_paymaster import ADD_STAKE, DEPOSIT, SET_CAPS, SET_SPONSOR, game_number
from gamekit.units import Address, Wei

CALL_GAS = 200_000
"""Gas limit of one call of the operator; the largest needs about 100,000."""
UNSTAKE_DELAY_S = 86_400
"""What public bundlers ask for: a day."""


class Caps(Struct, frozen=True):
    """Most that a game pays, in wei, each operation counted at the most that it can cost."""

    day_wei_max: Wei = Wei(50 * 10**18)
    player_day_wei_max: Wei = Wei(10**18)
    session_wei_max: Wei = Wei(10**18)


async def fill_paymaster(node: DevnetNode, paymaster: Address, deposit: Wei, stake: Wei = Wei(10**18)) -> None:
    """Give a paymaster a deposit and a stake at its entry point. Raises ChainError when either reverted."""
    await operate(node, paymaster, DEPOSIT.encode_call(), deposit)
    await operate(node, paymaster, ADD_STAKE.encode_call(UNSTAKE_DELAY_S), stake)


async def set_game(
    node: DevnetNode,
    paymaster: Address,
    game: str,
    sponsor: Address,
    caps: Caps = Caps(),  # noqa: B008 - frozen
) -> None:
    """Let `sponsor` speak for a game, and cap what the game pays. Raises ChainError when the paymaster refused."""
    await operate(node, paymaster, SET_SPONSOR.encode_call(game_number(game), sponsor))
    await set_caps(node, paymaster, game, caps)


async def set_caps(node: DevnetNode, paymaster: Address, game: str, caps: Caps) -> None:
    """Change what a game pays at most. Raises ChainError when the paymaster refused."""
    amounts = caps.day_wei_max, caps.player_day_wei_max, caps.session_wei_max
    await operate(node, paymaster, SET_CAPS.encode_call(game_number(game), *amounts))


async def operate(node: DevnetNode, paymaster: Address, data: bytes, value: Wei = Wei(0)) -> None:
    """Call a paymaster as its owner, with money from nowhere, and mine it. Raises ChainError when it reverted."""
    await node.impersonate(OPERATOR)
    await node.set_balance(OPERATOR, Wei(value + 10**18))
    sent = await node.send(OPERATOR, paymaster, data, value=value, gas=CALL_GAS)
    await node.mine_pending()
    await node.require_success(sent)
