"""A player that is no person: logs in over the websocket, opens a session, plays, and prints what happened."""

from eth_account import Account as Wallet

from gamekit import Address, Wei, load_config
from gamekit.client.game_client import GameClient
from gamekit.client.login import by_token
from gamekit.devnet import DevnetNode, deposit
from gamekit.eth.hashing import parse_address
from gamekit.protocol.events import SessionOpened


async def play_one_match(url: str, token: str, config: str) -> None:
    wallet = Wallet.create()
    async with GameClient(url, by_token(token)) as client:
        events = client.events()
        request = await client.propose("arena", "play_match", bytes.fromhex(wallet.address[2:]))
        signed = wallet.sign_typed_data(full_message=request.payload)  # a browser asks the wallet by request.method
        await client.open(request.request_id, bytes(signed.signature))
        async for event in events:
            if isinstance(event, SessionOpened):
                break
        await pay_gas(config, Address(bytes(request.account)))
        handle = await client.act(request.permission_id, "attack", [7, 30])
        print(f"accepted: {handle.key}")
        outcome = await handle.settled(timeout=30)
        print(f"settled: {'ok' if outcome.ok else outcome.error} in block {outcome.block_number}")


async def pay_gas(config: str, account: Address) -> None:
    """Gas is paid from the account's deposit; on a devnet money comes from nowhere."""
    chain = load_config(config).chain
    async with DevnetNode(chain.rpc_url) as node:
        await deposit(node, parse_address(chain.stacks[0].entry_point), [account], Wei(10**18))
