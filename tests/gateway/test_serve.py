"""A gateway by itself."""

import asyncio
import os
import signal

import aiohttp
import pytest
from aiohttp import http_parser
from msgspec.structs import replace

from gamekit.errors import ConfigInvalid
from gamekit.gateway.app import Gateway
from gamekit.gateway.serve import CUT_S, DRAIN_S, Server, check_parser, serve
from gamekit.runtime.engine import STOP_S
from gamekit.store.group import CLOSE_S_MAX
from gamekit.units import ChainId
from tests.gateway.conftest import NO_PROXY_LIMITS
from tests.gateway.memory import MemoryBackend


def gateway() -> Gateway:
    return Gateway(MemoryBackend(), NO_PROXY_LIMITS, ChainId(1))


def test_the_parser_must_be_the_one_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    check_parser()
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)
    with pytest.raises(ConfigInvalid, match="no HTTP parser in C"):
        Server(gateway())


def test_all_of_the_end_fits_into_ten_seconds() -> None:
    """A supervisor kills after ten: what is in flight must be answered by then."""
    assert DRAIN_S + CUT_S + STOP_S + 2 * CLOSE_S_MAX < 10
    assert gateway().config.request_timeout_s < DRAIN_S


async def test_it_listens_where_it_says() -> None:
    async with Server(gateway()) as server:
        assert repr(server) == f"<Server on port {server.port}, <Gateway 0 sockets, 0 players>>"
        async with aiohttp.ClientSession() as http:
            answer = await http.get(f"http://127.0.0.1:{server.port}/play/health")
            assert answer.status == 200
            assert (await http.get(f"http://127.0.0.1:{server.port}/")).status == 404


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_order(number: signal.Signals) -> None:
    listening: list[Server] = []
    serving = gateway()

    def started(server: Server) -> None:
        listening.append(server)
        os.kill(os.getpid(), number)

    await asyncio.wait_for(serve(serving, started=started), 5)
    assert listening[0].port
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", listening[0].port)


async def test_a_port_that_is_taken_is_an_error() -> None:
    async with Server(gateway()) as server:
        taken = Gateway(MemoryBackend(), replace(NO_PROXY_LIMITS, port=server.port), ChainId(1))
        with pytest.raises(OSError, match="address already in use"):
            async with Server(taken):
                pass
