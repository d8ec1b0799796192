"""Short forms in which the families write their rows."""

from collections.abc import Callable, Mapping
from typing import Final

from gamekit.demo.forgery import Attempt
from tests.proof.escapes.model import Expected, Operate, Row, Step, Trial
from tests.proof.escapes.world import World

Pair = tuple[Attempt, Attempt]
REFUSED: Final = "AA23"
"""The account's validation reverted."""
SIGNATURE: Final = Expected("AA24")
"""The account's validation says that the signature is not good."""


def refused(error: str) -> Expected:
    """Refused by the session validator in validation."""
    return Expected(REFUSED, error)


def operation_row(
    case: str,
    slug: str,
    what: str,
    expected: Expected,
    pair: Callable[[World], Pair],
    *,
    session: str = "play",
    values: Callable[[World], Mapping[str, object]] = lambda _: {},
    effect: Mapping[str, int] | None = None,
    before: Callable[[World], tuple[Step, ...]] = lambda _: (),
    at: Mapping[str, Expected] | None = None,
    without: Mapping[str, str] | None = None,
    off_chain: str = "",
) -> Row:
    """A row of two operations of one session: the escape and its twin."""

    def build(world: World) -> Trial:
        escape, twin = pair(world)
        return Trial(
            escape=Operate(escape, session),
            twin=Operate(twin, session),
            before=before(world),
            values=values(world),
            effect=effect,
        )

    return Row(
        case=case,
        slug=slug,
        what=what,
        expected=expected,
        build=build,
        at=at or {},
        without=without or {},
        off_chain=off_chain,
    )


def trial_row(
    case: str,
    slug: str,
    what: str,
    expected: Expected,
    build: Callable[[World], Trial],
    *,
    at: Mapping[str, Expected] | None = None,
    without: Mapping[str, str] | None = None,
    off_chain: str = "",
) -> Row:
    """A row of any kind."""
    return Row(
        case=case,
        slug=slug,
        what=what,
        expected=expected,
        build=build,
        at=at or {},
        without=without or {},
        off_chain=off_chain,
    )
