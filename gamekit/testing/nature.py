"""What a simulated chain does by chance."""

from msgspec import Struct


class Nature(Struct, frozen=True):
    """What the chain does by chance with each block, as shares from 0 to 1."""

    reorg: float = 0.0
    reorg_depth_max: int = 4
    forget: float = 0.3
    """Of reorgs: what was in them is in no pool any more."""
    sideways: float = 0.3
    """Of reorgs: other attempts of the same nonces are mined instead."""
    skip: float = 0.0
    """Blocks that leave out everything."""
    drop: float = 0.0
    """Blocks after which the pool is empty."""
    late: float = 0.0
    """Blocks that come much later."""
    front_run: float = 0.0
    """Blocks in which somebody else bundles our operations first."""
    fee_spike: float = 0.0


STILL = Nature()
WILD = Nature(reorg=0.1, skip=0.15, drop=0.06, late=0.06, front_run=0.06, fee_spike=0.03)
