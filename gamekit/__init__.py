"""Session keys for game servers: a player delegates once, then plays without a wallet popup.

The public names, re-exported; everything else may move. Each is imported when it is first used, so `import gamekit`
costs a few milliseconds and opens nothing.

::

    kit            GameKit, what a backend holds: sessions, actions, events, revocation, withdrawals
    core           what is decided, as pure functions of values: game, scope, lane, batch, operation, receipt
    eth            hashing, ABI, user operations of every EntryPoint version; pure too
    accounts       one file per account stack; pure too
    protocol       the websocket frames and one connection's state; pure too
    ports          all input and output that the runtime can do, as Protocols
    runtime        the verbs: grant, intake, dispatch, bundle, settle, resolve, revoke, withdraw, observe
    keys chain store   adapters: sealed keys and signing, JSON-RPC, SQLite
    gateway client cli commands   edges: websocket server, websocket clients, command line
    contracts devnet demo   the session validator and the example game, a chain to try them on, the main job shown
    testing        the simulator: worlds in virtual time around the real kit, campaigns, a pytest plugin
    errors units config   leaves: every error, every quantity with its unit, every limit with its reason

ARCHITECTURE.md says who may import whom, and why.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gamekit.config import Config
    from gamekit.config import load as load_config
    from gamekit.core.action import Action, ActionRequest
    from gamekit.core.consent import GrantRequest
    from gamekit.core.explain import explain
    from gamekit.core.game import Game
    from gamekit.core.journal import Event
    from gamekit.core.revocation import Revocation
    from gamekit.core.scope import Scope
    from gamekit.core.session import Session
    from gamekit.core.unit import Unit
    from gamekit.errors import (
        ChainUnavailable,
        ClientError,
        ConfigInvalid,
        GamekitError,
        Outcome,
        OutcomeUnknown,
        Overloaded,
        Paused,
        ScopeDenied,
        SessionExpired,
        SessionNotFound,
        SessionRevoked,
        StoreUnavailable,
    )
    from gamekit.eth.calldata import Call
    from gamekit.kit import GameKit, load_game
    from gamekit.runtime.handle import ActionHandle, SessionHandle
    from gamekit.runtime.intake import Accepted
    from gamekit.runtime.withdraw import WithdrawalRequest
    from gamekit.units import Address, Cursor, PermissionId, PlayerId, UnixSeconds, Wei

__all__ = [
    "Accepted",
    "Action",
    "ActionHandle",
    "ActionRequest",
    "Address",
    "Call",
    "ChainUnavailable",
    "ClientError",
    "Config",
    "ConfigInvalid",
    "Cursor",
    "Event",
    "Game",
    "GameKit",
    "GamekitError",
    "GrantRequest",
    "Outcome",
    "OutcomeUnknown",
    "Overloaded",
    "Paused",
    "PermissionId",
    "PlayerId",
    "Revocation",
    "Scope",
    "ScopeDenied",
    "Session",
    "SessionExpired",
    "SessionHandle",
    "SessionNotFound",
    "SessionRevoked",
    "StoreUnavailable",
    "Unit",
    "UnixSeconds",
    "Wei",
    "WithdrawalRequest",
    "explain",
    "load_config",
    "load_game",
]

_HOMES: Final = {
    "config": ("Config", "load_config"),
    "core.action": ("Action", "ActionRequest"),
    "core.consent": ("GrantRequest",),
    "core.explain": ("explain",),
    "core.game": ("Game",),
    "core.journal": ("Event",),
    "core.revocation": ("Revocation",),
    "core.scope": ("Scope",),
    "core.session": ("Session",),
    "core.unit": ("Unit",),
    "errors": (
        "ChainUnavailable",
        "ClientError",
        "ConfigInvalid",
        "GamekitError",
        "Outcome",
        "OutcomeUnknown",
        "Overloaded",
        "Paused",
        "ScopeDenied",
        "SessionExpired",
        "SessionNotFound",
        "SessionRevoked",
        "StoreUnavailable",
    ),
    "eth.calldata": ("Call",),
    "kit": ("GameKit", "load_game"),
    "runtime.handle": ("ActionHandle", "SessionHandle"),
    "runtime.intake": ("Accepted",),
    "runtime.withdraw": ("WithdrawalRequest",),
    "units": ("Address", "Cursor", "PermissionId", "PlayerId", "UnixSeconds", "Wei"),
}
"""Where each public name lives. A test holds this, `__all__` and the type checker's view equal."""

_RENAMED: Final = {"load_config": "load"}

if not TYPE_CHECKING:  # for the type checker every name stands above, and a wrong one is an error

    def __getattr__(name):  # noqa: ANN001, ANN202
        """Import a public name when it is first used."""
        for home, names in _HOMES.items():
            if name in names:
                found = getattr(import_module(f"gamekit.{home}"), _RENAMED.get(name, name))
                globals()[name] = found
                return found
        raise AttributeError(f"module 'gamekit' has no attribute {name!r}")

    def __dir__():  # noqa: ANN202
        """Show the public names."""
        return sorted({*globals(), *__all__})
