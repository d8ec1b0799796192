"""The escape suite: every way out of a session that we know, on every account, each beside a twin that passes.

`model.py` says what a row is, `world.py` builds one account with its sessions and its enemies, `runner.py` runs rows,
the `family_*.py` hold them, `rows.py` lists them, `plants.py` makes the suite fail, `table.py` writes the document.
"""
