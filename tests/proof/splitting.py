"""Halmos, with calldata that can be read at a position of which not everything is known.

Halmos gives a path up when calldata is read at a symbolic position. The lengths inside callData are symbolic here, so
every position behind the first length is. This replaces that one instruction, CALLDATALOAD, and nothing else: it asks
the solver which positions are possible on the path, and

- one: it is read;
- all of them within 32 neighbouring bytes: what is read is one value that depends on the position, a shifted window;
- more: the path is split in two, by a condition and its negation, and each half reads again.

Nothing is left out: a half is dropped only when the solver proves that it is empty, and an answer of "unknown" ends the
proof as an error.

Run by the Python of the proof's virtualenv, with Halmos's own arguments: python splitting.py ARGUMENTS
"""

import sys
from typing import Any

from halmos import sevm  # type: ignore[import-not-found]
from halmos.__main__ import _main  # type: ignore[import-not-found]
from halmos.exceptions import NotConcreteError  # type: ignore[import-not-found]
from halmos.utils import con, int_of  # type: ignore[import-not-found]
from z3 import ULE, And, Concat, Extract, If, Not, sat, unsat  # type: ignore[import-not-found]

PATIENCE_MS = 120_000
"""How long the solver may look for a possible position."""
BRANCHING_MS = 1
"""Halmos's own patience where it only saves work; a path that is not known to be empty is followed."""
WINDOW = 32
WINDOW_START = 9
"""Windows begin at such a position modulo 32. Any would do; the words of an execution begin one byte before, so a
length that is rounded up to whole words is the same within a window."""

_load_known = sevm.SEVM.calldataload


def _possible(ex: Any, position: Any, condition: Any = True) -> int | None:
    """Give a position that is possible on this path under `condition`; None if none is.

    Raises:
        NotConcreteError: the solver does not know. Halmos reports it as an error of the proof.
    """
    solver = ex.path.solver
    solver.push()
    solver.set(timeout=PATIENCE_MS)
    try:
        answer = solver.check(condition)
        if answer == unsat:
            return None
        if answer != sat:
            raise NotConcreteError(f"the solver does not know where {position} can be")
        return int(solver.model().eval(position, model_completion=True).as_long())
    finally:
        solver.set(timeout=BRANCHING_MS)
        solver.pop()


def _word(ex: Any, position: int) -> Any:
    """Give the 32 bytes at a known position, as a term."""
    word = ex.calldata().get_word(position)
    return con(word) if isinstance(word, int) else getattr(word, "as_z3", lambda: word)()


def _is_known(ex: Any, position: Any) -> bool:
    try:
        int_of(position, "", ex.path.concretization.substitution)
    except NotConcreteError:
        return False
    return True


def calldataload(self: Any, ex: Any, stack: Any) -> None:
    """Do what the instruction does; `stack` holds the paths that are still to be followed."""
    top = ex.st.top()
    position = top.as_z3() if hasattr(top, "as_z3") else top
    if _is_known(ex, position):
        _load_known(self, ex, stack)
        return
    first = _possible(ex, position)
    if first is None:
        return  # nothing can come here
    second = _possible(ex, position, position != first)
    if second is None:
        ex.st.pop()
        ex.st.push_any(first)
        _load_known(self, ex, stack)
        return
    half = position == min(first, second)
    if (first - second) % 32:
        low = first - (first - WINDOW_START) % WINDOW
        half = And(ULE(low, position), ULE(position, low + WINDOW - 1))
        if low >= 0 and _possible(ex, position, Not(half)) is None:
            ex.st.pop()
            block = Concat(_word(ex, low), _word(ex, low + 32))
            for bit in range(5):
                block = If(Extract(bit, bit, position - low) == 1, block << (8 << bit), block)
            ex.st.push_any(Extract(511, 256, block))
            ex.advance()
            stack.push(ex)
            return
    # The same instruction once more on each half. The one that is pushed last is followed first.
    stack.push(self.create_branch(ex, Not(half), ex.pc))
    stack.push(self.create_branch(ex, half, ex.pc))


if __name__ == "__main__":
    sevm.SEVM.calldataload = calldataload
    sys.exit(_main(sys.argv[1:]).exitcode)
