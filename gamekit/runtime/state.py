"""What the running server knows: the in-memory side of the journal. One thread, one loop, no locks.

Each field says who may change it. Everything here can be built again from the journal and the chain.
"""

from asyncio import Future
from collections import deque
from collections.abc import Mapping, Sequence

from gamekit.config import Config
from gamekit.core.action import Action
from gamekit.core.game import Game
from gamekit.core.history import History
from gamekit.core.lane import Lane
from gamekit.core.pausing import Pauses
from gamekit.core.recent import RecentKeys
from gamekit.core.restoring import EndedEpochs
from gamekit.core.session import Account, Session
from gamekit.core.sponsoring import Stops
from gamekit.core.tracking import LiveSlot
from gamekit.errors import ChainUnavailable
from gamekit.eth.block import Head
from gamekit.units import ActionId, Address, BlockNumber, PermissionId, UnixSeconds, UserOpHash, Wei

RECENT_KEYS = 2048
"""Keys that a lane remembers in memory; older ones are found in the journal."""
RECENT_KEYS_TOTAL = 262_144
"""The same over all lanes: about 300 bytes each, 80 MB."""

ENDED_SESSIONS = 1024
"""Sessions whose end is final that stay in memory, 3 kB each; the journal answers for those that were opened before."""


class State:
    """Everything that the verbs share."""

    def __init__(self, config: Config, games: Mapping[str, Game]) -> None:
        self.config = config
        self.games = games

        # Changed by grant, revoke and settle, each after the commit that says so.
        self.accounts: dict[Address, Account] = {}
        self.sessions: dict[PermissionId, Session] = {}
        """Sessions that have not ended, and of those that ended for good since start-up the latest."""
        self.lanes: dict[PermissionId, Lane] = {}
        """Of sessions in which somebody acted since start-up, and that have not ended for good."""
        self.lanes_by_key: dict[tuple[Address, int], Lane] = {}
        """The same lanes by (account, nonce key)."""

        # Changed by dispatch (adds), settle and resolve.
        self.slots_by_operation: dict[UserOpHash, LiveSlot] = {}
        """Every variant of every slot that is not final."""
        self.slots_by_nonce: dict[tuple[Address, int], LiveSlot] = {}
        """The same slots by (sender, 256-bit nonce): how an operation of somebody else is noticed."""

        # Changed by settle only.
        self.history = History()
        self.final: Head | None = None
        self.tip = Wei(0)
        """The node's suggested tip, in wei per gas, read with each head."""
        self.head_seen_at = 0.0
        """Monotonic seconds at which the present head was read."""
        self.halted = False
        """Whether the chain, or our sight of it, stands still: what is signed now would only burn its deadline."""
        self.unsettled: deque[tuple[BlockNumber, LiveSlot]] = deque()
        """Slots whose block is not `included_depth` deep yet, in block order."""

        # Changed by restored.
        self.ended_epochs: EndedEpochs = {}

        # Changed by observe.
        self.pauses = Pauses()

        # Changed by bundle (adds) and revoke.
        self.doubted: set[PermissionId] = set()
        """Sessions whose operation the account refused: whether it still has the module is looked at."""

        # Changed by bundle (adds) and sponsor.
        self.stops = Stops()
        """What paymasters refused to pay for."""

        # Changed by intake.
        self.accepting = 0
        """Actions on their way to disk, over all lanes."""
        self.accepted = 0
        """Actions on disk that are in no slot yet, over all lanes."""
        self.writing: set[ActionId] = set()
        """The first action of each frame that is on its way to disk."""
        self.recent = RecentKeys(RECENT_KEYS, RECENT_KEYS_TOTAL)
        """Idempotency keys that were accepted lately; `resolve` forgets those of sessions that have ended."""
        self.next_action_id = 1
        self.waiters: dict[ActionId, list[Future[Action]]] = {}
        """Who waits for an action's outcome."""

    @property
    def head(self) -> Head:
        """The latest canonical head. Raises ChainUnavailable before the first was read."""
        head = self.history.head
        if head is None:
            raise ChainUnavailable("no block has been read yet")
        return head

    def put_lane(self, lane: Lane) -> None:
        """Make a lane findable."""
        self.lanes[lane.session.permission_id] = lane
        self.lanes_by_key[lane.session.account, lane.session.key] = lane

    def drop_lane(self, lane: Lane) -> None:
        """Let go of a lane on which nothing waits or flies; if somebody asks again, another one is made."""
        del self.lanes[lane.session.permission_id]
        del self.lanes_by_key[lane.session.account, lane.session.key]

    def signatures(self, game: str) -> list[str]:
        """The texts of a game's play functions, which packed scopes do not hold."""
        return [each.function.signature for each in self.games[game].functions.values()]

    def put(self, session: Session) -> None:
        """Take a session's new state over, in its lane too."""
        self.sessions[session.permission_id] = session
        lane = self.lanes.get(session.permission_id)
        if lane is not None:
            lane.session = session

    def new_action_id(self) -> ActionId:
        """Give the next place in the journal."""
        action_id = self.next_action_id
        self.next_action_id = action_id + 1
        return ActionId(action_id)

    def resolved_by(self, action_id: ActionId) -> tuple[str, UnixSeconds]:
        """What will tell the outcome of an action that has none, and the chain time by which it does.

        An inclusion is told again once its block is final, which takes no deadline; its time is 0.
        """
        for live in self.slots_by_operation.values():
            if any(action.id == action_id for action in live.actions):
                if live.included() is not None:
                    return "the depth of its block", UnixSeconds(0)
                return "inclusion, or finalized chain time past its deadline", live.dead_by()
        for lane in self.lanes.values():
            if any(action.id == action_id for action in lane.ready):
                return "its operation, or the end of its session", lane.session.valid_until
        return "the journal", UnixSeconds(0)

    def wake(self, actions: Sequence[Action]) -> None:
        """Tell those who wait for these actions; their rows are on disk."""
        if not self.waiters:
            return
        for action in actions:
            for waiter in self.waiters.pop(action.id, ()):
                if not waiter.done():
                    waiter.set_result(action)

    def index(self, live: LiveSlot) -> None:
        """Make a slot and its variants findable."""
        for user_op_hash, operation in live.variants.items():
            self.slots_by_operation[user_op_hash] = live
            self.slots_by_nonce[operation.sender, operation.nonce] = live

    def unindex(self, live: LiveSlot) -> None:
        """Forget a slot that is final or free."""
        for user_op_hash, operation in live.variants.items():
            self.slots_by_operation.pop(user_op_hash, None)
            self.slots_by_nonce.pop((operation.sender, operation.nonce), None)
