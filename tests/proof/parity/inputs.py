"""The inputs of a campaign: each follows from the seed and its index alone, so that one can be drawn again by itself.

::

    index → pool (`POOL_INPUTS` of them share the granted scopes of `FORMS`)
          → batch (`BATCH_INPUTS` of them are one eth_call; in it each session is used up in one way)
          → kind, draft, seal
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from gamekit.eth import session_validator
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.interface import Function
from gamekit.eth.session_validator_abi import SessionRecord
from gamekit.eth.user_operation import PackedUserOperation
from gamekit.units import PermissionId
from tests.proof.parity.aliases import alias
from tests.proof.parity.bombs import bomb
from tests.proof.parity.draft import Draft, Session, draw_plain
from tests.proof.parity.edits import edit, resize
from tests.proof.parity.envelopes import tamper
from tests.proof.parity.ground import Ground
from tests.proof.parity.scopes import Drawn, Form, draw_record, draw_scope
from tests.proof.parity.twists import twist
from tests.proof.parity.witnesses import reshow

BATCH_INPUTS = 250
FORMS = (Form.OTHER, *[Form.TREE] * 9, *[Form.SHORT] * 30)
"""Of the scopes of a pool."""
POOL_INPUTS = 20 * BATCH_INPUTS
KINDS = {
    "plain": 29,
    "one step off": 25,
    "damaged": 15,
    "aliased": 11,
    "cut or longer": 5,
    "envelope": 8,
    "witnesses": 5,
    "bomb": 2,
}
"""What is drawn, and how often in a hundred. Only a tampered envelope has a signature that is not the key's over it."""


@dataclass(slots=True)
class Input:
    """One operation to be judged twice."""

    index: int
    kind: str
    notes: list[str]
    permission: PermissionId
    """Whose record is read afterwards."""
    op: PackedUserOperation
    arguments: tuple[Function, bytes] | None
    """Calldata for the decoder of arguments, of a bomb."""


class Inputs:
    """Draws the inputs of one seed."""

    def __init__(self, seed: int, ground: Ground, epoch: int, kinds: Mapping[str, int] = KINDS) -> None:
        """Prepare; `kinds` says what is drawn how often, in any unit."""
        self._seed = seed
        self._names, self._weights = tuple(kinds), tuple(kinds.values())
        self._ground = ground
        self._epoch = epoch

    def pool(self, number: int) -> list[Drawn]:
        """Draw the scopes of a pool; no two are equal."""
        rng = random.Random(f"{self._seed}/pool/{number}")
        return [draw_scope(rng, self._ground, form) for form in FORMS]

    def sessions(self, pool: list[Drawn], batch: int) -> list[Session]:
        """Draw how far each session is used up in a batch."""
        rng = random.Random(f"{self._seed}/batch/{batch}")
        return [Session(drawn, self._permission(drawn), self._record(rng, drawn)) for drawn in pool]

    def version(self, batch: int) -> EntryPointVersion:
        """Whose hash the operations of a batch have."""
        return (EntryPointVersion.V07, EntryPointVersion.V08)[batch % 2]

    def draw(self, index: int, sessions: list[Session]) -> Input:
        """Draw one input."""
        rng = random.Random(f"{self._seed}/{index}")
        kind = rng.choices(self._names, self._weights)[0]
        draft = draw_plain(rng, self._ground, self._session(rng, kind, sessions))
        arguments = self._change(rng, kind, draft)
        version = self.version(index // BATCH_INPUTS)
        op = draft.seal(self._ground, version)
        if kind == "envelope":
            op = tamper(rng, draft, op, sessions)
        return Input(index, kind, draft.notes, draft.session.permission, op, arguments)

    def _session(self, rng: random.Random, kind: str, sessions: list[Session]) -> Session:
        if kind != "witnesses":
            return rng.choice(sessions)
        return rng.choice([session for session in sessions if session.drawn.tree is not None])

    def _change(self, rng: random.Random, kind: str, draft: Draft) -> tuple[Function, bytes] | None:
        if kind == "bomb":
            return bomb(rng, draft)
        if kind == "one step off":
            twist(rng, self._ground, draft)
        elif kind == "damaged":
            edit(rng, draft)
        elif kind == "aliased":
            alias(rng, draft)
        elif kind == "cut or longer":
            resize(rng, draft)
        elif kind == "witnesses":
            reshow(rng, draft)
        return None

    def _permission(self, drawn: Drawn) -> PermissionId:
        ground = self._ground
        return session_validator.permission_id(ground.chain_id, ground.module, ground.account, drawn.signed)

    def _record(self, rng: random.Random, drawn: Drawn) -> SessionRecord:
        return draw_record(rng, drawn.scope, self._epoch)
