"""The main job, shown: a devnet, a server, players' clients, a thief and an auditor, each a process of its own.

::

    stage      what stands before: contracts, keys, money, the server's configuration on disk
    show       the orchestrator: starts the others (cast), prints progress, writes the report
    crowd      the players: owners' wallets, real websocket clients, a log of what they were told (tally)
    thief      takes a session key out of the server (leak, loot) and goes to the entry point by itself, with operations
               of its own making (forgery), through every way out that should be shut (escapes)
    audit      joins the clients' log with the chain; imports nothing of gamekit
"""
