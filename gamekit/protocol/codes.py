"""Error codes on the wire: the stable words of `gamekit.errors`, and back."""

from collections.abc import Mapping
from typing import Any, Final

from gamekit.errors import ClientError, GamekitError, Outcome


def _errors() -> dict[str, type[GamekitError]]:
    found: dict[str, type[GamekitError]] = {}
    waiting: list[type[GamekitError]] = [GamekitError]
    while waiting:
        kind = waiting.pop(0)
        found.setdefault(kind.code, kind)
        waiting.extend(kind.__subclasses__())
    return found


ERRORS: Final[Mapping[str, type[GamekitError]]] = _errors()
"""Every error of gamekit by its code."""


def outcome_of(code: str) -> str:
    """Tell what an error's code says about asking again: final, retry or unknown. A strange code is final."""
    return ERRORS.get(code, ClientError).outcome.value


class StrangeError(ClientError):
    """An error of a later server version, whose code this client does not know; `compared` holds `code`."""

    code = "strange_error"


class StrangeRetry(StrangeError):
    """As StrangeError, and asking again may help."""

    outcome = Outcome.RETRY


class StrangeUnknown(StrangeError):
    """As StrangeError, and it may have happened."""

    outcome = Outcome.UNKNOWN


_STRANGE: Final = {"retry": StrangeRetry, "unknown": StrangeUnknown}


def error_of(code: str, outcome: str, message: str, compared: Mapping[str, Any]) -> GamekitError:
    """Make the error that the server spoke of."""
    kind = ERRORS.get(code)
    if kind is None or kind.outcome.value != outcome:
        return _STRANGE.get(outcome, StrangeError)(message, **{**compared, "code": code})
    error = kind(message)
    error.compared = dict(compared)
    return error
