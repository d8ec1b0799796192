"""The verbs: the only tasks and awaits. Each file does one step of an action's way; `engine` runs them.

grant, intake → dispatch → bundle → settle → resolve; beside them revoke, withdraw, notify, observe. What they know
is in `state`; what they decide, `core/` decides; what they do, `ports.py` lists.
"""
