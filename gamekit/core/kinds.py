"""Every table of the journal."""

from typing import Final

from gamekit.core.action import Action
from gamekit.core.journal import Event, Meta
from gamekit.core.pausing import GameCode, Pause
from gamekit.core.relay import RelayNonce, RelayTransaction
from gamekit.core.restoring import LostCall, Stranger
from gamekit.core.session import Account, Session
from gamekit.core.tracking import Operation, Slot
from gamekit.core.withdrawal import Withdrawal

KINDS: Final = (
    Account,
    Action,
    Event,
    GameCode,
    LostCall,
    Meta,
    Operation,
    Pause,
    RelayNonce,
    RelayTransaction,
    Session,
    Slot,
    Stranger,
    Withdrawal,
)
"""What `gamekit.store` is opened for."""
