"""The simulator: a chain, a network, a disk and players, all in virtual time, around the real runtime and journal."""
