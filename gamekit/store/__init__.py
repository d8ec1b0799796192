"""The journal's adapters: SQLite for use, memory for tests. They write and read rows; what a row means is `core`'s."""

from gamekit.store.executor import InlineExecutor, writer_thread
from gamekit.store.memory import MemoryStore
from gamekit.store.sqlite import SqliteStore

__all__ = ["InlineExecutor", "MemoryStore", "SqliteStore", "writer_thread"]
