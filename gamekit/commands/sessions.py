"""`gamekit sessions` and `gamekit revoke`: ask the running server by its admin socket."""

import asyncio
from pathlib import Path
from typing import Any

from gamekit.commands.admin import ask
from gamekit.commands.output import Output, table


def list_sessions(config: Path, player: str, output: Output) -> None:
    """Print the sessions that have not ended. Raises ServerNotRunning."""
    rows: list[dict[str, Any]] = asyncio.run(ask(config, "GET", "/sessions"))
    rows = [row for row in rows if player in ("", row["player"])]
    columns = ("permission_id", "player", "unit", "state", "stack", "valid_until")
    output.put(rows, table(columns, ([str(row[column]) for column in columns] for row in rows)))


def revoke(config: Path, permission_id: str, reason: str, output: Output) -> None:
    """End a session. Raises ServerNotRunning, SessionNotFound."""
    told: dict[str, Any] = asyncio.run(
        ask(config, "POST", "/revoke", {"permission_id": permission_id, "reason": reason})
    )
    words = (
        f"{permission_id} signs nothing from now on; {told['refused_actions']} waiting actions were refused.\n"
        f"{len(told['in_flight'])} operations signed before may land until chain time {told['dead_by']}."
    )
    output.put(told, words)
