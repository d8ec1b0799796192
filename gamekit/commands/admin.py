"""The running server's side door: a unix socket beside its configuration, for its own operator and nobody else.

It belongs to the server's own user (mode 0600), so it needs no token and is on no network. It can look,
revoke, pause and resume; it cannot read a key, widen a session or act as a player.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from gamekit.core.session import Session
from gamekit.errors import ClientError, ConfigInvalid, GamekitError, OutcomeUnknown, StoreUnavailable
from gamekit.eth.hashing import checksum_address, parse_hex, to_hex
from gamekit.kit import GameKit
from gamekit.protocol.codes import error_of
from gamekit.units import PermissionId

TIMEOUT_S = 15.0


class ServerNotRunning(ClientError):
    """There is no server at the admin socket."""

    code = "server_not_running"


def socket_path(config: Path) -> Path:
    """Where the server of a configuration listens for its operator."""
    return config.with_name(config.name + ".admin")


@asynccontextmanager
async def serve_admin(kit: GameKit, config: Path) -> AsyncIterator[None]:
    """Listen while the body runs."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/status", partial(_answered, lambda: _status(kit))),
            web.get("/sessions", partial(_answered, lambda: [session_row(row) for row in kit.sessions()])),
            web.get("/pauses", partial(_answered, lambda: list(kit.state.pauses))),
            web.post("/revoke", partial(_revoke, kit)),
            web.post("/pause", partial(_switch, kit.pause)),
            web.post("/resume", partial(_switch, kit.resume)),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    path = socket_path(config)
    path.unlink(missing_ok=True)
    before = os.umask(0o177)  # the socket must never be open to others, not even for a moment
    try:
        await web.UnixSite(runner, str(path)).start()
    finally:
        os.umask(before)
    try:
        yield
    finally:
        await runner.cleanup()
        path.unlink(missing_ok=True)


async def ask(config: Path, method: str, route: str, body: dict[str, object] | None = None) -> Any:  # noqa: ANN401
    """Ask the running server.

    Raises: ServerNotRunning; OutcomeUnknown when it went away before it answered; ClientError with what it said.
    """
    connector = aiohttp.UnixConnector(str(socket_path(config)))
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(method, f"http://gamekit{route}", json=body) as response,
        ):
            answer = await response.json()
    except (aiohttp.ClientConnectorError, FileNotFoundError) as error:
        raise ServerNotRunning(
            f"no server listens at {socket_path(config)}", socket=str(socket_path(config))
        ) from error
    except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
        raise OutcomeUnknown(f"the server went away before it answered {method} {route}", route=route) from error
    if response.status != 200:
        raise error_of(answer["code"], answer["outcome"], answer["message"], answer["compared"])
    return answer


def session_row(row: Session) -> dict[str, object]:
    """What an operator may know of a session: never its key."""
    return {
        "permission_id": to_hex(row.permission_id),
        "player": row.player,
        "account": checksum_address(row.account),
        "stack": f"{row.stack} {row.entry_point_version}",
        "game": row.game,
        "unit": row.unit,
        "state": row.state,
        "valid_until": row.valid_until,
        "key": checksum_address(row.signer),
    }


def _status(kit: GameKit) -> dict[str, object]:
    head = kit.state.history.head
    return {
        "running": kit.engine.running,
        "block": head.number if head else 0,
        "sessions": len(kit.sessions()),
        "accepted_unsigned": kit.state.accepted,
        "operations_live": len({id(slot) for slot in kit.state.slots_by_operation.values()}),
        "cursor": kit.cursor,
        "pauses": [pause.subject for pause in kit.state.pauses],
        "loop_lateness": kit.loop_lateness().plain(),
        "revocation_times": {tier: found.plain() for tier, found in kit.revocation_times().items()},
    }


async def _answered(look: Callable[[], object], _request: web.Request) -> web.Response:
    return _json(look())


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


async def _switch(switch: Callable[[str, str, str], Awaitable[None]], request: web.Request) -> web.Response:
    """Pause or resume."""
    try:
        asked = await request.json()
        subject, reason, by = (str(asked.get(name) or "") for name in ("subject", "reason", "by"))
        if not (reason and by):
            raise ConfigInvalid("a pause, and its end, need a reason and who says so", reason=reason, by=by)
        await switch(subject, reason, by)
    except StoreUnavailable as error:
        return web.json_response(error.to_dict(), status=503)
    except GamekitError as error:
        return web.json_response(error.to_dict(), status=400)
    return _json({"subject": subject, "reason": reason, "by": by})


async def _revoke(kit: GameKit, request: web.Request) -> web.Response:
    try:
        asked = await request.json()
        permission_id = PermissionId(parse_hex(str(asked.get("permission_id", "")), 32))
        told = await kit.revoke(permission_id, str(asked.get("reason") or "revoked by the operator"))
    except StoreUnavailable as error:
        return web.json_response(error.to_dict(), status=503)
    except GamekitError as error:
        return web.json_response(error.to_dict(), status=400)
    answer = {
        "permission_id": to_hex(told.permission_id),
        "revoked_at": told.revoked_at,
        "refused_actions": told.refused_actions,
        "in_flight": [to_hex(each) for each in told.in_flight],
        "dead_by": told.dead_by,
    }
    return _json(answer)
