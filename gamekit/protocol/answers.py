"""From the kit's results to the frames that answer a request."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gamekit.errors import ClientError, GamekitError, Outcome
from gamekit.protocol.events import Refused
from gamekit.protocol.messages import COUNTER_MAX, Accepted, AcceptedAction, Act, Error, RefusedAction
from gamekit.protocol.octets import Octets16

SERVER_SIDE: Final = {
    Outcome.FINAL: "The server cannot do this.",
    Outcome.RETRY: "The server cannot take this now; ask again later.",
    Outcome.UNKNOWN: "It may have happened; it resolves itself from the chain. Ask again with the same key.",
}
"""What a player is told of an error that is not about the player: its code and outcome, but nothing of our insides."""


def plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON and MessagePack can both hold
    """Reduce a compared value to what both encodings hold: large integers and unknown things become text."""
    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return value if -COUNTER_MAX <= value <= COUNTER_MAX else str(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return str(value)


def tell(error: GamekitError) -> tuple[str, dict[str, Any]]:
    """Give the message and the compared values that a player may see."""
    if isinstance(error, ClientError):
        return str(error), {name: plain(value) for name, value in error.compared.items()}
    return SERVER_SIDE[error.outcome], {}


def refused_action(key: str, error: GamekitError) -> RefusedAction:
    """Say that one action is not accepted, and why."""
    message, compared = tell(error)
    return RefusedAction(key, error.code, error.outcome.value, message, compared)


def refuse_all(act: Act, error: GamekitError) -> Refused:
    """Say that no action of a frame is accepted, for one reason."""
    return Refused(act.permission_id, [refused_action(action.key, error) for action in act.actions], id=act.id)


def request_failed(request_id: int, error: GamekitError) -> Error:
    """Say that a request failed as a whole."""
    message, compared = tell(error)
    return Error(error.code, error.outcome.value, message, compared, id=request_id)


def answer_act(act: Act, epoch: bytes, results: Sequence[tuple[str, int] | GamekitError]) -> list[Accepted | Refused]:
    """Answer an act frame: one `accepted` for what is on disk, one `refused` for the rest.

    Args:
        act: the frame.
        epoch: the journal epoch in which the accepted ones stand.
        results: for each action in order (key, action id), or why not.
    """
    accepted = [AcceptedAction(*result) for result in results if not isinstance(result, GamekitError)]
    frames: list[Accepted | Refused] = []
    if accepted:
        frames.append(Accepted(act.id, act.permission_id, Octets16(epoch), accepted))
    if len(accepted) < len(results):
        refused = [
            refused_action(action.key, result)
            for action, result in zip(act.actions, results, strict=True)
            if isinstance(result, GamekitError)
        ]
        frames.append(Refused(act.permission_id, refused, id=act.id))
    return frames
