"""JSON-RPC over HTTP, bounded in size and time.

An answer counts only if it is JSON, carries our id and comes within the deadline and the size; anything else is no
answer. A reply that is lost says nothing about whether the request was carried out: callers that send know this.
"""

import asyncio
import re
from itertools import count
from typing import Self, TypeVar

import aiohttp
import msgspec

from gamekit.errors import CallReverted, ChainUnavailable, EncodingInvalid
from gamekit.eth.hashing import parse_hex

T = TypeVar("T")

_QUANTITY = re.compile("0x[0-9a-fA-F]{1,64}")
SENT_ONCE = frozenset({"eth_sendRawTransaction"})
"""Methods that are never asked again by themselves: whether a lost answer means sent, the caller decides."""
RETRY_S = 0.05
"""Before a question is asked again; as much longer each time."""
REVERTED_CODE = 3
"""JSON-RPC error code that nodes use for a reverted call. Source: go-ethereum, `revertError`."""


class RpcError(msgspec.Struct, frozen=True):
    """The error member of a reply."""

    code: int
    message: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Reply(msgspec.Struct):
    id: int | None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: RpcError | None = None


class RpcRefused(ChainUnavailable):
    """The node answered with an error of its own; `error` holds it."""

    code = "rpc_refused"

    def __init__(self, method: str, error: RpcError) -> None:
        super().__init__(f"{method}: {error.message} ({error.code})", method=method, rpc_code=error.code)
        self.error = error


class JsonRpc:
    """One endpoint. Use as an async context manager, or `close` it."""

    def __init__(
        self, url: str, *, timeout_ms: int = 10_000, reply_bytes_max: int = 64 * 1024 * 1024, attempts: int = 1
    ) -> None:
        """Set up an endpoint; nothing is connected yet.

        Args:
            url: where it is.
            timeout_ms: deadline of one request, all its attempts together.
            reply_bytes_max: largest reply that is read.
            attempts: how often a question is asked until there is an answer. What changes something is sent once.
        """
        self.url = url
        self._attempts = attempts
        self._timeout_s = timeout_ms / 1000
        self._reply_bytes_max = reply_bytes_max
        self._ids = count(1)
        self._session: aiohttp.ClientSession | None = None
        self._decoder = msgspec.json.Decoder(_Reply)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(self, kind: type[T], method: str, *params: object) -> T:
        """Call a method and read its result as `kind`.

        Raises: CallReverted with the revert data; RpcRefused for any other error that the node names;
            ChainUnavailable for no answer within the deadline, a reply over the size, or one that is no answer.
        """
        found = await self.request_optional(kind, method, *params)
        if found is None:
            raise ChainUnavailable(f"{method}: the node answered null", method=method)
        return found

    async def request_optional(self, kind: type[T], method: str, *params: object) -> T | None:
        """Call a method whose result may be null, which says only that this node has no such thing."""
        attempts = 1 if method in SENT_ONCE else self._attempts
        try:
            async with asyncio.timeout(self._timeout_s):
                for attempt in range(1, attempts):
                    try:
                        return await self._request(kind, method, params)
                    except RpcRefused:
                        raise
                    except ChainUnavailable:
                        await asyncio.sleep(RETRY_S * attempt)
                return await self._request(kind, method, params)
        except TimeoutError as error:
            raise self._late(method) from error

    async def _request(self, kind: type[T], method: str, params: tuple[object, ...]) -> T | None:
        request_id = next(self._ids)
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
        reply = self._decode(method, await self._post(method, body))
        if reply.id != request_id:
            raise ChainUnavailable(f"{method}: the reply carries id {reply.id}, not {request_id}", method=method)
        if reply.error is not None:
            raise _refusal(method, reply.error)
        try:
            return msgspec.json.decode(reply.result, type=kind | None)
        except msgspec.DecodeError as error:
            raise ChainUnavailable(f"{method}: {error}", method=method) from error

    def _decode(self, method: str, body: bytes) -> _Reply:
        try:
            return self._decoder.decode(body)
        except msgspec.DecodeError as error:
            raise ChainUnavailable(f"{method}: the reply is not JSON-RPC: {error}", method=method) from error

    async def _post(self, method: str, body: bytes) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"Content-Type": "application/json"})
        try:
            async with asyncio.timeout(self._timeout_s), self._session.post(self.url, data=body) as response:
                return await self._read(method, response)
        except TimeoutError as error:
            raise self._late(method) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ChainUnavailable(f"{method}: {type(error).__name__}: {error}", method=method) from error

    def _late(self, method: str) -> ChainUnavailable:
        text = f"{method}: no answer within {self._timeout_s} s"
        return ChainUnavailable(text, method=method, timeout_s=self._timeout_s)

    async def _read(self, method: str, response: aiohttp.ClientResponse) -> bytes:
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self._reply_bytes_max:
                text = f"{method}: the reply is over {self._reply_bytes_max} bytes"
                raise ChainUnavailable(text, method=method, reply_bytes_max=self._reply_bytes_max)
            chunks.append(chunk)
        if response.status >= 500 or response.status == 429:
            raise ChainUnavailable(f"{method}: HTTP {response.status}", method=method, status=response.status)
        return b"".join(chunks)


def _refusal(method: str, error: RpcError) -> CallReverted | RpcRefused:
    data = _revert_data(error)
    if data is not None:
        return CallReverted(f"{method}: {error.message}", data, method=method)
    return RpcRefused(method, error)


def _revert_data(error: RpcError) -> bytes | None:
    """The revert data, where the error is a revert: nodes put it as text, or in an object's `data`."""
    value: object = msgspec.json.decode(error.data)
    if isinstance(value, dict):
        value = value.get("data")
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return bytes.fromhex(value[2:])
        except ValueError:
            return None
    is_revert = error.code == REVERTED_CODE or "revert" in error.message.lower()
    return b"" if is_revert else None


def from_quantity(value: str) -> int:
    """Read a JSON-RPC quantity. Raises ChainUnavailable for text that is none."""
    if _QUANTITY.fullmatch(value) is None:
        raise ChainUnavailable(f"{value[:80]!r} is no quantity")
    return int(value, 16)


def to_quantity(value: int) -> str:
    """Write a JSON-RPC quantity."""
    return hex(value)


def from_data(value: str, length: int | None = None) -> bytes:
    """Read JSON-RPC data. Raises ChainUnavailable for text that is none, or gives another number of bytes."""
    try:
        return parse_hex(value, length)
    except EncodingInvalid as error:
        raise ChainUnavailable(f"{value[:80]!r} is no data: {error}") from error


def to_data(value: bytes) -> str:
    """Write JSON-RPC data."""
    return "0x" + value.hex()
