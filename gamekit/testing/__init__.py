"""The simulator: a chain, a network, a disk and players, all in virtual time, around the real runtime and journal.

`simulation.Simulation` is a world; `python -m gamekit.testing.simulate` runs campaigns; `plugin` gives worlds to
pytest. What each file does:

| file | what |
|---|---|
| `loop`, `workshop` | an event loop in virtual time; what worlds share |
| `chain`, `contracts`, `wire` | the chain: blocks, pool, reorgs; its contracts; its bytes |
| `nature` | what the chain and other people on it do by chance |
| `network`, `lies` | what goes wrong between server and chain; what a lying node says to the shipped reader |
| `disk` | a disk that fails, and what a power failure leaves |
| `crash`, `life`, `stops` | where a process can die; one process's life; why it may end by itself |
| `players`, `ledger` | clients who ask again by key; what they were told |
| `witness`, `audit` | the invariants; what players were told, joined with what the chain executed |
| `simulation` | all of it together |
| `paymaster` | a chain with a paymaster, whose game pays |
| `campaigns`, `pairs`, `recipes`, `trials`, `reorgs`, `budgets`, `sponsored` | many worlds: what is done to each |
| `planting`, `plants`, `limit_plants` | known bugs, and what each must break |
| `report`, `simulate`, `plugin` | what was seen; the command; worlds for pytest |
"""

from gamekit.testing.nature import STILL, WILD, Nature
from gamekit.testing.network import CALM, ROUGH, STORM, Weather
from gamekit.testing.simulation import Simulation, workshop

__all__ = ["CALM", "ROUGH", "STILL", "STORM", "WILD", "Nature", "Simulation", "Weather", "workshop"]
