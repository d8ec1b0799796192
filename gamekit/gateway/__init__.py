"""The websocket edge: aiohttp in, the kit behind it.

::

    bytes → connection → protocol.Peer (decides) → Backend (the kit) → frames → one write per loop tick

`app.Gateway` holds what the sockets share; `embed.setup` adds it to an existing aiohttp application; `serve.serve` runs
it by itself with hardened settings.
"""
