"""`gamekit backup` and `gamekit restore`: the journal copied while it is in use, and put back."""

from pathlib import Path

from gamekit.commands.output import Output
from gamekit.config import load
from gamekit.eth.hashing import to_hex
from gamekit.store import backup as copies


def backup(config: Path, copy: Path, put: Output) -> None:
    """Copy the journal of a configuration; its server may run. Raises as `gamekit.store.backup.backup`."""
    made = copies.backup(journal_of(config), copy)
    text = f"{made.path}: {made.size_bytes} bytes. Keep the master key ({keyfile_of(config)}) apart from it, and safe."
    put.put(_plain(made), text)


def restore(config: Path, copy: Path, put: Output) -> None:
    """Put a copy in the journal's place; the server must be stopped. Raises as `gamekit.store.backup.restore`."""
    made = copies.restore(copy, journal_of(config))
    text = (
        f"{made.path} is restored. When the server starts, it first reads from the chain what happened since the copy; "
        "nothing is accepted or signed until that is final."
    )
    put.put(_plain(made), text)


def journal_of(config: Path) -> Path:
    """Where the journal of a configuration lies."""
    return config.parent / load(config).journal.path


def keyfile_of(config: Path) -> Path:
    """Where the master key of a configuration lies."""
    return config.parent / load(config).journal.keyfile


def _plain(made: copies.Copied) -> dict[str, object]:
    return {"path": made.path, "size_bytes": made.size_bytes, "journal_epoch": to_hex(made.journal_epoch)}
