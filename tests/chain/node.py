"""A JSON-RPC server on loopback that says what a test tells it to, true or not."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

Answer = Callable[[dict[str, Any]], "web.StreamResponse | Awaitable[web.StreamResponse] | object"]


class Node:
    """Answers every request by `answer`: a response, or the result of an honest reply."""

    def __init__(self) -> None:
        self.answer: Answer = lambda request: None
        self.asked: list[tuple[str, list[Any]]] = []
        self._server: TestServer | None = None

    async def start(self) -> str:
        app = web.Application()
        app.router.add_post("/", self._handle)
        self._server = TestServer(app)
        await self._server.start_server()
        return str(self._server.make_url("/"))

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.close()

    def says(self, **results: Any) -> None:
        """Give these results by method."""
        self.answer = lambda request: results[request["method"]]

    def refuses(self, code: int, message: str, data: Any = None) -> None:
        """Answer everything with an error."""
        error = {"code": code, "message": message} | ({} if data is None else {"data": data})
        self.answer = lambda request: web.json_response({"jsonrpc": "2.0", "id": request["id"], "error": error})

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        request = json.loads(await http.read())
        self.asked.append((request["method"], request["params"]))
        found = self.answer(request)
        if isinstance(found, Awaitable):
            found = await found
        if isinstance(found, web.StreamResponse):
            if not found.prepared:
                await found.prepare(http)
            return found
        return web.json_response({"jsonrpc": "2.0", "id": request["id"], "result": found})
