"""What a player's key signs: logins, one at every connect that needs one, and authorizations."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus

import aiohttp

from gamekit.errors import AuthenticationFailed, Overloaded
from gamekit.eth.transaction import SignedAuthorization, authorization_hash
from gamekit.protocol import authorizations
from gamekit.protocol.login import LoginMessage
from gamekit.protocol.messages import Authorization, Login, TokenLogin, WalletLogin
from gamekit.protocol.octets import SignatureOctets
from gamekit.units import Address, Hash32

LoginSource = Callable[[aiohttp.ClientSession, str], Awaitable[Login]]
"""Given an HTTP session and the websocket's URL, makes a login."""
SignDigest = Callable[[Hash32], bytes]
"""Signs 32 bytes as they are and gives 65 bytes: r, s and v, which is 27 or 28."""
SignMessage = Callable[[str], Awaitable[bytes]]
"""Signs a text as wallets do (ERC-191) and gives 65 bytes."""


def by_token(token: str) -> LoginSource:
    """Log in with a token of the game's own."""

    async def login(_http: aiohttp.ClientSession, _url: str) -> Login:
        return TokenLogin(token)

    return login


def by_wallet(address: Address, sign: SignMessage, statement: str | None = None) -> LoginSource:
    """Log in by signing an ERC-4361 message.

    Args:
        address: the wallet's address.
        sign: asks the wallet; may take as long as a person does.
        statement: a line for the person to read.
    """

    async def login(http: aiohttp.ClientSession, url: str) -> Login:
        async with http.post(f"{url.replace('ws', 'http', 1) if url.startswith('ws') else url}/nonce") as answer:
            if answer.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
                raise Overloaded(f"no login nonce yet: the server answered {answer.status}", queue="login")
            if answer.status != HTTPStatus.OK:
                raise AuthenticationFailed(f"no login nonce: the server answered {answer.status}")
            told = await answer.json()
        message = str(
            LoginMessage(
                domain=told["domain"],
                address=address,
                statement=statement,
                uri=told["uri"],
                chain_id=told["chain_id"],
                nonce=told["nonce"],
                issued_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            )
        )
        return WalletLogin(message, SignatureOctets(await sign(message)))

    return login


def authorize(wanted: Authorization, sign: SignDigest) -> SignedAuthorization:
    """Sign what `proposed.authorization` asks for, with a key that is at hand.

    Args:
        wanted: as it was proposed.
        sign: signs a digest as it is, and gives 65 bytes.
    """
    authorization = authorizations.asked(wanted)
    return SignedAuthorization(authorization, sign(authorization_hash(authorization)))
