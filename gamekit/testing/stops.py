"""Why a server may end by itself: because a fault that was planted reached it. Every other end is a finding.

The runtime stops when it no longer knows what is true. A supervisor starts it again, so a mistake of its own would be
healed each time, and nobody would hear of it.
"""

from collections.abc import Iterator

from gamekit.errors import ChainError, ChainMismatch, StoreConflict, StoreError, SubmitError


def unexcused(error: BaseException, *, disk_failed: bool, chain_failed: bool) -> str:
    """Say what is wrong about a server that ended by itself; empty when a fault explains all of it.

    A journal that refuses is never excused: it refuses only what contradicts what the server itself wrote before.

    Args:
        error: why it ended.
        disk_failed: whether its disk has refused anything.
        chain_failed: whether the network or the chain kept it from getting its answers while it started.
    """
    for cause in _causes(error):
        by_disk = disk_failed and isinstance(cause, StoreError) and not isinstance(cause, StoreConflict)
        by_chain = chain_failed and isinstance(cause, ChainError | SubmitError) and not isinstance(cause, ChainMismatch)
        if not (by_disk or by_chain):
            return f"{type(cause).__name__}: {cause}"
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    else:
        yield error
