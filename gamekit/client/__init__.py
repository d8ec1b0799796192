"""Clients of the gateway: `GameClient` for bots, `load` for many players in one process, `gamekit.js` for browsers.

::

    outbox         what was asked for and not answered (no input or output)
    link           one player's connection: login, reconnect, resume, sending again under the same keys
    game_client    handles to wait on, and the event stream
"""
