"""A JSON-RPC node that fails and lies, in front of one that does not.

Stands between the server and anvil. Which request is struck, `rules` decides; what a lie looks like, `lies`; here is
only the network. It also models what anvil does not: the pool's replacement rule, transactions that come back into the
pool after a reorganisation, and a second backend that lags behind the first.
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Self

import aiohttp
from aiohttp import web

from tests.campaigns import lies, pool
from tests.campaigns.lies import Receipts, Simulated
from tests.campaigns.pool import Pool
from tests.campaigns.rules import BLOCK, COUNT, RECEIPTS, SEND, Dice

DELAY_S_MAX: Final = 0.25
STALE_BLOCKS_MAX: Final = 3
HUGE_BYTES: Final = 6 * 1024 * 1024
"""Over the bound that the campaigns configure, 4 MiB."""
DRIP_S: Final = 0.2
DRIP_BYTES: Final = 40
SIMULATED_MAX: Final = 2048
"""Operations that could be lied about, the latest first."""


class Answer(Exception):
    """Ends the handling of a request with this response."""

    def __init__(self, response: web.StreamResponse) -> None:
        self.response = response


class Proxy:
    """Use as an async context manager; `url` is where it listens."""

    def __init__(self, backend: str, dice: Dice, *, lags: Sequence[int] = (0,)) -> None:
        """Stand in front of a node.

        Args:
            backend: the node's JSON-RPC endpoint.
            dice: decides which request is struck; may be replaced while it runs.
            lags: how many blocks each backend is behind; each request goes to one of them by the dice.
        """
        self._backend = backend
        self.dice = dice
        self.lags = tuple(lags)
        self.pool = Pool()
        self.url = ""
        self.lagged = 0
        """Questions that a backend behind the others answered."""
        self._mining = asyncio.Lock()
        """A block that anvil mines within a reorganisation leaves a height without a block, for ever."""
        self._simulated: dict[str, Simulated] = {}
        self._runner: web.AppRunner | None = None
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(headers={"Content-Type": "application/json"})
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._http is not None:
            await self._http.close()

    async def reorganise(self, depth: int, *, rebroadcast: bool = True) -> int:
        """Replace the last blocks by empty ones; gives how many transactions came back into the pool.

        Only where `mine` makes the blocks, and no clock of the node's own.

        Args:
            depth: how many.
            rebroadcast: as nodes do it; without, whoever sent them must send them again.
        """
        async with self._mining:
            head = int(await self.ask("eth_blockNumber"), 16)
            orphaned: list[str] = []
            for number in range(max(1, head - depth + 1), head + 1):
                block = await self.ask(BLOCK, hex(number), False)
                orphaned += block["transactions"]
            await self.ask("anvil_reorg", depth, [])
        back = self.pool.again(orphaned) if rebroadcast else []
        for raw in back:
            await self._forward({"jsonrpc": "2.0", "id": 1, "method": SEND, "params": [raw]})
        return len(back)

    async def mine(self) -> None:
        """Mine one block of what waits."""
        async with self._mining:
            await self.ask("evm_mine")

    async def ask(self, method: str, *params: Any) -> Any:
        """Ask the node behind, truthfully. Raises ValueError with the node's error."""
        reply = await self._forward({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        if "result" not in reply:
            raise ValueError(f"{method}: {reply.get('error')}")
        return reply["result"]

    # One request.

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        request = json.loads(await http.read())
        fault = self.dice.decide(request["method"])
        try:
            return await self._answer(http, request, fault)
        except Answer as early:
            return early.response

    async def _answer(self, http: web.Request, request: dict[str, Any], fault: str) -> web.StreamResponse:
        dice = self.dice
        if fault == "drop_before":
            raise self._cut(http, fault)
        if fault.startswith("status_"):
            dice.count(fault)
            return web.Response(status=int(fault[7:]), text="<html>not now</html>", content_type="text/html")
        if fault == "delay":
            dice.count(fault)
            await asyncio.sleep(dice.random.random() * DELAY_S_MAX)
        lag = self.lags[dice.random.randrange(len(self.lags))] if len(self.lags) > 1 else 0
        asked = await self._aged(request, lag)
        self.lagged += asked is not request
        if fault == "stale":
            older = await self._aged(asked, dice.random.randint(1, STALE_BLOCKS_MAX))
            if older is not asked:
                dice.count(fault)
            asked = older
        if fault == "duplicate":
            dice.count(fault)
            await self._delivered(asked)
        reply = await self._delivered(asked)
        if fault == "drop_after":
            raise self._cut(http, fault)
        if "result" in reply:
            reply = await self._bent(request["method"], reply, fault)
        return await self._sent(http, json.dumps(reply).encode(), fault)

    def _cut(self, http: web.Request, fault: str) -> Answer:
        """End the connection without an answer."""
        self.dice.count(fault)
        if http.transport is not None:
            http.transport.abort()
        return Answer(web.Response())

    async def _aged(self, request: dict[str, Any], blocks: int) -> dict[str, Any]:
        """Ask for an older state, where the request asks for the latest."""
        if not blocks or lies.at_height(request["method"], request["params"], 0) is None:
            return request
        head = int(await self.ask("eth_blockNumber"), 16)
        return {**request, "params": lies.at_height(request["method"], request["params"], head - blocks)}

    async def _delivered(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry a request out, under the pool's rule."""
        method, params = request["method"], request["params"]
        if method == SEND:
            why = self.pool.admit(params[0])
            if why and not await self._is_spent(params[0]):
                return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32000, "message": why}}
        reply = await self._forward(request)
        if method == SEND and "result" in reply:
            self.pool.entered(params[0])
        if method == "eth_call" and "to" in params[0]:
            await self._learn(params[0])
        if method == RECEIPTS and reply.get("result"):
            for user_op_hash in lies.mined(reply["result"]):
                self._simulated.pop(user_op_hash, None)
        return reply

    async def _is_spent(self, raw: str) -> bool:
        """Whether the nonce is consumed already: the node says so itself, whatever the pool would think of the fee."""
        bid = pool.read(raw)
        return bid.nonce < int(await self.ask(COUNT, bid.sender, "latest"), 16)

    async def _learn(self, call: dict[str, Any]) -> None:
        """Remember the operations of a simulated bundle, by their hash: what a forged receipt can be about."""
        for operation in lies.operations(call["to"], call.get("data", "")):
            question = {"to": operation.entry_point, "data": operation.question}
            self._simulated[str(await self.ask("eth_call", question, "latest"))] = operation
        while len(self._simulated) > SIMULATED_MAX:
            del self._simulated[next(iter(self._simulated))]

    async def _bent(self, method: str, reply: dict[str, Any], fault: str) -> dict[str, Any]:
        """Lie, if there is something to lie about."""
        result, bent = reply["result"], None
        if fault == "null":
            self.dice.count(fault)
            return {**reply, "result": None}
        if fault == "wrong_hash":
            bent = lies.with_wrong_hash(result)
        elif fault == "other_fork":
            bent = lies.of_another_fork(result)
        elif fault == "forged_spent" and method == COUNT:
            bent = hex(int(result, 16) + 1)
        elif method == RECEIPTS and result is not None:
            bent = self._bent_receipts(result, fault)
        if bent is None:
            return reply
        self.dice.count(fault)
        return {**reply, "result": bent}

    def _bent_receipts(self, receipts: Receipts, fault: str) -> Receipts | None:
        if fault == "forged_receipt" and self._simulated:
            user_op_hash = self.dice.random.choice(list(self._simulated)[-64:])
            return lies.with_forged(receipts, self._simulated[user_op_hash], user_op_hash)
        if fault == "forged_outcome":
            return lies.with_other_outcome(receipts)
        if fault == "hidden_receipt":
            return lies.without_operation(receipts)
        return None

    async def _sent(self, http: web.Request, body: bytes, fault: str) -> web.StreamResponse:
        """Send an answer, damaged if the fault says so."""
        kind = "application/json"
        if fault in ("truncated", "garbage", "huge", "wrong_id", "slow_drip"):
            self.dice.count(fault)
        if fault == "truncated":
            return web.Response(body=body[: len(body) // 2], content_type=kind)
        if fault == "garbage":
            return web.Response(body=self.dice.random.randbytes(64), content_type=kind)
        if fault == "huge":
            return web.Response(body=body + b" " * HUGE_BYTES, content_type=kind)
        if fault == "wrong_id":
            other = {**json.loads(body), "id": self.dice.random.randrange(1 << 31)}
            return web.Response(body=json.dumps(other).encode(), content_type=kind)
        if fault == "slow_drip":
            return await self._dripped(http, body)
        return web.Response(body=body, content_type=kind)

    async def _dripped(self, http: web.Request, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(http)
        with suppress(ConnectionError):  # who asked has lost patience
            for place in range(DRIP_BYTES):
                await response.write(body[place : place + 1])
                await asyncio.sleep(DRIP_S)
        return response

    async def _forward(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._http is None:
            raise RuntimeError("not started")
        async with self._http.post(self._backend, data=json.dumps(request)) as response:
            reply: dict[str, Any] = await response.json(content_type=None)
            return reply
