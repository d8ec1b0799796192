"""`gamekit pause` and `gamekit resume`: ask the running server by its admin socket."""

import asyncio
from pathlib import Path
from typing import Any

from gamekit.commands.admin import ask
from gamekit.commands.output import Output, table


def list_pauses(config: Path, output: Output) -> None:
    """Print the pauses that are in force. Raises ServerNotRunning."""
    rows: list[dict[str, Any]] = asyncio.run(ask(config, "GET", "/pauses"))
    columns = ("subject", "reason", "by", "at")
    output.put(rows, table(columns, ([str(row[column]) for column in columns] for row in rows)))


def pause(config: Path, subject: str, reason: str, by: str, output: Output) -> None:
    """Stop signing for a subject. Raises ServerNotRunning; ClientError for what cannot be paused."""
    told = asyncio.run(ask(config, "POST", "/pause", {"subject": subject, "reason": reason, "by": by}))
    output.put(told, f"{subject} signs nothing from now on, over a restart too. What was signed before may still land.")


def resume(config: Path, subject: str, reason: str, by: str, output: Output) -> None:
    """Sign for a subject again. Raises ServerNotRunning; ClientError for what is not paused."""
    told = asyncio.run(ask(config, "POST", "/resume", {"subject": subject, "reason": reason, "by": by}))
    output.put(told, f"{subject} signs again; what waited goes on.")
