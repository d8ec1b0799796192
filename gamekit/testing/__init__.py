"""The simulator: a chain, a network, a disk and players, all in virtual time, around the real runtime and journal.

`simulation.Simulation` is a world; `python -m gamekit.testing.simulate` runs campaigns; `plugin` gives worlds to
pytest. What each file does:

| file | what |
|---|---|
| `loop` | an event loop in virtual time |
| `chain`, `contracts`, `wire` | the chain: blocks, pool, reorgs; its contracts; its bytes |
| `network` | what goes wrong between server and chain |
| `disk` | a disk that fails, and what a power failure leaves |
| `crash`, `life` | where a process can die; one process from its start to its death |
| `players`, `ledger` | clients who ask again by key; what they were told |
| `witness`, `audit` | the invariants; what players were told, joined with what the chain executed |
| `simulation` | all of it together |
| `campaigns`, `plants`, `report`, `simulate` | many worlds, known bugs, what was seen, the command |
"""

from gamekit.testing.nature import STILL, WILD, Nature
from gamekit.testing.network import CALM, ROUGH, STORM, Weather
from gamekit.testing.simulation import Simulation, workshop

__all__ = ["CALM", "ROUGH", "STILL", "STORM", "WILD", "Nature", "Simulation", "Weather", "workshop"]
