"""What a client asked for and has no answer to yet. No input or output.

Keys make asking again harmless, so after a lost connection everything unanswered is sent again, in its order, under its
own keys and the journal epoch it was first sent in.
"""

from collections.abc import Iterator, Sequence

from gamekit.protocol.events import Refused
from gamekit.protocol.messages import Accepted, Act, ActionRequest
from gamekit.protocol.octets import Octets16, Octets32


class Entry:
    """One act frame's worth of actions."""

    __slots__ = ("actions", "journal_epoch", "permission_id", "sent")

    def __init__(self, permission_id: Octets32, journal_epoch: Octets16, actions: Sequence[ActionRequest]) -> None:
        self.permission_id = permission_id
        self.journal_epoch = journal_epoch
        self.actions = {action.key: action for action in actions}
        """Those that are not answered, by key, in order."""
        self.sent = False
        """Whether it went out on the present connection."""


class Outbox:
    """Unanswered actions, oldest first."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}  # by the number under which it was added
        self._added = 0
        self._requests: dict[int, int] = {}  # request id of this connection → number
        self._last_id = 0

    def __repr__(self) -> str:
        return f"<Outbox {len(self)} unanswered actions>"

    def __len__(self) -> int:
        return sum(len(entry.actions) for entry in self._entries.values())

    def add(self, permission_id: Octets32, journal_epoch: Octets16, actions: Sequence[ActionRequest]) -> None:
        """Ask for actions; they leave with the next `frames`."""
        self._added += 1
        self._entries[self._added] = Entry(permission_id, journal_epoch, actions)

    def connected(self) -> None:
        """Begin a new connection: nothing has been sent on it, and request ids start anew."""
        self._requests.clear()
        self._last_id = 0
        for entry in self._entries.values():
            entry.sent = False

    def next_id(self) -> int:
        """Take the next request id of this connection."""
        self._last_id += 1
        return self._last_id

    def frames(self) -> Iterator[Act]:
        """Take the frames that have not gone out on this connection, in order."""
        for number, entry in list(self._entries.items()):
            if not entry.sent:
                entry.sent = True
                request_id = self.next_id()
                self._requests[request_id] = number
                yield Act(request_id, entry.permission_id, entry.journal_epoch, list(entry.actions.values()))

    def answered(self, answer: Accepted | Refused) -> None:
        """Take an answer: what it names is asked for no more."""
        number = self._requests.get(answer.id, 0)
        entry = self._entries.get(number)
        if entry is None:
            return
        for action in answer.actions:
            entry.actions.pop(action.key, None)
        if not entry.actions:
            del self._entries[number]
            del self._requests[answer.id]
