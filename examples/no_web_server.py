"""gamekit without any web server: a session is opened, an action is played, and its outcome is printed.

gamekit devnet                                              # in another terminal
python examples/no_web_server.py .gamekit/devnet/gamekit.toml
"""

import asyncio
import sys

import msgspec
from eth_account import Account as Wallet

from gamekit import Address, GameKit, PlayerId, Wei
from gamekit.devnet import DevnetNode, deposit


async def main(config: str) -> None:
    wallet = Wallet.create()  # the player's own; a game backend never sees its key
    owner = Address(bytes.fromhex(wallet.address[2:]))
    async with GameKit.from_config(config) as kit:
        request = await kit.propose(PlayerId("ada"), "arena", "play_match", owner)
        print(request.explanation)
        # In a game the browser's wallet does this, by eth_signTypedData_v4.
        signed = wallet.sign_typed_data(full_message=msgspec.to_builtins(request.typed_data))
        session = await kit.open(request.permission_id, bytes(signed.signature))
        await session.opened(timeout=30)

        # Gas is paid from the account's deposit; on a devnet money comes from nowhere.
        async with DevnetNode(kit.config.chain.rpc_url) as node:
            await deposit(node, session.row.entry_point, [request.account], Wei(10**18))

        won = await session.act("attack", {"target": 7, "strength": 30}, key="match42:turn1")
        too_strong = await session.act("attack", {"target": 7, "strength": 101}, key="match42:turn2")
        for handle in (won, too_strong):
            outcome = await handle.settled(timeout=30)
            print(f"{outcome.key}: {outcome.state} {outcome.reason}")
        await session.revoke()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "gamekit.toml"))
