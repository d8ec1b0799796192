"""Adapters to one EVM chain over JSON-RPC. What goes wrong is translated to `gamekit.errors` here."""
