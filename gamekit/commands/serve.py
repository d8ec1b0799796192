"""`gamekit serve`: the kit and its gateway, until SIGTERM."""

import os
import resource
import signal
import sys
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path

import msgspec
import uvloop

from gamekit.commands.admin import serve_admin
from gamekit.config import GatewayConfig, load
from gamekit.errors import ConfigInvalid, GamekitError, Outcome
from gamekit.gateway.app import Gateway
from gamekit.gateway.auth import TokenHook
from gamekit.gateway.kit_backend import KitBackend
from gamekit.gateway.serve import Server, serve
from gamekit.keys.hardening import harden_process
from gamekit.kit import GameKit
from gamekit.units import ChainId, PlayerId

FILES_APART = 256
"""Files that are no player's socket: the journal, connections to the node, the operator's."""


class EngineStopped(GamekitError):
    """The engine stopped by itself: what it knows may not be true any more. A new start reads journal and chain."""

    code = "engine_stopped"
    outcome = Outcome.RETRY


def run(config: Path, tokens: Path | None, leak: Path | None) -> None:
    """Serve until told to stop.

    Args:
        config: the configuration's TOML file.
        tokens: a JSON object that maps login tokens to players; without it players log in with their wallets.
        leak: only for the demo's thief: where to write one session key in the clear. See `gamekit.demo.leak`.

    Raises: EngineStopped, ConfigInvalid, ChainError, StoreError.
    """
    uvloop.run(_serve(config, tokens, leak))


async def _serve(config: Path, tokens: Path | None, leak: Path | None) -> None:
    for refused in harden_process() if leak is None else ():
        sys.stderr.write(f"gamekit: {refused}\n")
    settings = load(config)
    hook = read_tokens(tokens) if tokens else None
    async with AsyncExitStack() as stack:
        kit = await stack.enter_async_context(GameKit.from_config(config))
        kit.engine.when_failed(lambda _: os.kill(os.getpid(), signal.SIGTERM))
        await stack.enter_async_context(serve_admin(kit, config))
        if leak is not None:
            from gamekit.demo.leak import leak_sessions

            stack.enter_context(leak_sessions(kit, config, leak))
        limits = within_descriptors(settings.gateway)
        gateway = Gateway(KitBackend(kit), limits, ChainId(settings.chain.chain_id), token=hook)
        await serve(gateway, started=lambda server: _say(server, settings.gateway.host))
        if kit.engine.failed is not None:
            raise EngineStopped(f"gamekit stopped signing: {kit.engine.failed}")


def within_descriptors(limits: GatewayConfig) -> GatewayConfig:
    """Raise the process's limit of open files as far as it goes; take no more sockets than fit below it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else limits.sockets_max + FILES_APART
    if soft != resource.RLIM_INFINITY and soft < min(most, limits.sockets_max + FILES_APART):
        soft = min(most, limits.sockets_max + FILES_APART)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    room = limits.sockets_max if soft == resource.RLIM_INFINITY else max(1, soft - FILES_APART)
    if room >= limits.sockets_max:
        return limits
    sys.stderr.write(f"gamekit: {soft} files may be open, so {room} sockets instead of {limits.sockets_max}\n")
    return msgspec.structs.replace(limits, sockets_max=room)


def read_tokens(path: Path) -> TokenHook:
    """Read the game's login tokens; only their hashes stay in memory.

    Raises: ConfigInvalid when the file is no JSON object of text.
    """
    try:
        written = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigInvalid(f"cannot read the tokens in {path}: {error}", path=str(path)) from error
    players = {_digest(token): PlayerId(player) for token, player in written.items()}

    async def login(token: str) -> PlayerId | None:
        return players.get(_digest(token))  # by hash, so the look-up's time says nothing about a token

    return login


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _say(server: Server, host: str) -> None:
    sys.stdout.write(f"gamekit serves players at ws://{host}:{server.port}\n")
    sys.stdout.flush()
