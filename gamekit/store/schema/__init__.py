"""How rows lie in SQLite: tables derived from the row types, and the journal's own bookkeeping."""

from gamekit.store.schema.layout import EPOCH, SCHEMA_VERSION, lay_out
from gamekit.store.schema.table import SqlValue, Table, tables_of

__all__ = ["EPOCH", "SCHEMA_VERSION", "SqlValue", "Table", "lay_out", "tables_of"]
