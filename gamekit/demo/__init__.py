"""The main job, shown: a devnet, a server, players' clients, a thief and an auditor, each a process of its own.

::

    stage      the devnet's chain, its contracts, a configuration of the server on disk
    show       the orchestrator: starts the others, prints progress, writes the report
    crowd      the players: owners' wallets, real websocket clients, a log of what they were told
    thief      takes one session key out of the server and goes to the entry point by itself
    audit      joins the clients' log with the chain; imports nothing of gamekit
"""
