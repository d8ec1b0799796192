"""The commands of `gamekit`, each a module: what to do with arguments that `cli.py` has read."""
