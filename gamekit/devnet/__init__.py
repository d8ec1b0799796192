"""An Ethereum of one's own, in a process of its own, with everything deployed that gamekit plays on."""

from gamekit.devnet.anvil import AUTOMINE, Anvil, AnvilSettings
from gamekit.devnet.deployment import DevnetContracts, deploy
from gamekit.devnet.faucet import deposit, fund
from gamekit.devnet.node import DevnetNode

__all__ = ["AUTOMINE", "Anvil", "AnvilSettings", "DevnetContracts", "DevnetNode", "deploy", "deposit", "fund"]
